"""Measured: memory that processes share as programs do: sections, environments, a stencil, a large array."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, Callable

from operations import Measure, each, mp, once, operation, shared

#: A grid's side, and the sweeps of one measurement; of a wide one, which has twice as many rows.
LOOPS, MIDDLE, DENSE, SWEEPS = 96, 256, 512, 10
WIDE, WIDE_SWEEPS = 1000, 2
#: Steps of the environments in one measurement.
STEPS = 50
#: Bytes of what is made and never sent.
HUGE = 1024 * 1024 * 1024
#: Bytes of the large array, and how far apart its changed pages are.
LARGE, PAGE, EVERY = 64 * 1024 * 1024, 4096, 100


@operation("array_write")
def _array_write() -> Iterator[Measure]:
    array, turn = mp.Array("d", 1000), [0]

    def op() -> None:
        turn[0] += 1
        with array.get_lock():
            for at in range(1000):
                array[at] = at * turn[0]

    with shared(array):
        yield lambda: each(op)


@operation("array_read")
def _array_read() -> Iterator[Measure]:
    array = mp.Array("d", range(1000))

    def op() -> float:
        total = 0.0
        with array.get_lock():
            for at in range(1000):
                total += array[at]
        return total

    with shared(array):
        yield lambda: each(op)


class Game:
    """An environment whose step takes about a millisecond, with a frame of 84 x 84."""

    def __init__(self) -> None:
        import numpy

        self._frame = numpy.zeros((84, 84), numpy.uint8)
        self._speed, self._place = 0.1, 0.0

    def step(self, action: int) -> Any:
        for _ in range(6000):
            self._speed += 0.001 * (action - 0.5) - 0.002 * self._place
            self._place += self._speed * 0.01
        self._frame += 1
        return self._frame


class Atari:
    """One whose step computes for a millisecond of CPU, with four frames of 84 x 84 as of Atari."""

    def __init__(self) -> None:
        import numpy

        self._frames = numpy.random.default_rng(1).integers(0, 255, (84, 84, 4), numpy.uint8)

    def step(self, action: int) -> Any:
        end = time.thread_time() + 0.001
        while time.thread_time() < end:
            pass
        # The oldest goes, and the newest differs from the last in places.
        self._frames[..., :3] = self._frames[..., 1:]
        self._frames[action::3, ::2, 3] += 1
        return self._frames


def play(end: Any, buffer: Any, game: Any) -> None:
    """A process of ShmemVecEnv (of Baselines): the frame goes through shared memory, the rest by pipe."""
    import numpy

    game = game()
    first = game.step(0)
    frame = numpy.frombuffer(buffer.get_obj(), numpy.uint8).reshape(first.shape)
    while True:
        action = end.recv()
        if action is None:
            return
        frame[:] = game.step(action)
        end.send((0.0, False, {}))


def _shmem(game: Any, size: int) -> Iterator[Measure]:
    import numpy

    buffers = [mp.Array(ctypes.c_uint8, size) for _ in range(2)]
    frames = [numpy.frombuffer(buffer.get_obj(), numpy.uint8) for buffer in buffers]
    pipes = [mp.Pipe() for _ in buffers]
    processes = [
        mp.Process(target=play, args=(theirs, buffer, game)) for (_, theirs), buffer in zip(pipes, buffers)
    ]
    for process in processes:
        process.start()

    def steps() -> None:
        for turn in range(STEPS):
            for mine, _ in pipes:
                mine.send(turn % 2)
            for mine, _ in pipes:
                mine.recv()
            if (frames[0] != frames[1]).any():
                raise RuntimeError("a frame is not what was sent for")

    steps()
    yield lambda: once(steps) / STEPS
    for mine, _ in pipes:
        mine.send(None)
    for process in processes:
        process.join()


@operation("env_shmem")
def _env_shmem() -> Iterator[Measure]:
    return _shmem(Game, 84 * 84)


@operation("env_atari")
def _env_atari() -> Iterator[Measure]:
    return _shmem(Atari, 84 * 84 * 4)


def _gymnasium(make: Callable[[], Any], count: int = 2) -> Iterator[Measure]:
    import gymnasium

    env = gymnasium.vector.AsyncVectorEnv([make] * count, shared_memory=True)
    env.reset(seed=1)
    actions = env.action_space.sample()

    def steps() -> None:
        for _ in range(STEPS):
            env.step(actions)

    steps()
    yield lambda: once(steps) / STEPS
    env.close()


def _named(name: str) -> Any:
    import gymnasium

    return gymnasium.make(name)


def _computing(seconds: float) -> Any:
    """An environment of gymnasium's whose step takes so much CPU, with 17 numbers as of a MuJoCo walker."""
    import gymnasium
    import numpy

    class Computing(gymnasium.Env[Any, Any]):
        observation_space = gymnasium.spaces.Box(-10, 10, (17,), numpy.float64)
        action_space = gymnasium.spaces.Box(-1, 1, (6,), numpy.float32)

        def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
            super().reset(seed=seed)
            return self.np_random.random(17), {}

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            end = time.thread_time() + seconds
            while time.thread_time() < end:
                pass
            return self.np_random.random(17), float(action.sum()), False, False, {}

    return Computing()


@operation("env_cartpole")
def _env_cartpole() -> Iterator[Measure]:
    return _gymnasium(partial(_named, "CartPole-v1"))


@operation("env_cartpoles")
def _env_cartpoles() -> Iterator[Measure]:
    return _gymnasium(partial(_named, "CartPole-v1"), 8)


@operation("env_acrobot")
def _env_acrobot() -> Iterator[Measure]:
    return _gymnasium(partial(_named, "Acrobot-v1"))


@operation("env_1ms")
def _env_1ms() -> Iterator[Measure]:
    return _gymnasium(partial(_computing, 0.001))


@operation("env_4ms")
def _env_4ms() -> Iterator[Measure]:
    return _gymnasium(partial(_computing, 0.004))


def sweep_loops(old: Any, new: Any, side: int, first: int, last: int) -> None:
    """One Jacobi sweep over some rows of `side` columns, cell by cell."""
    for row in range(first, last):
        at = row * side
        for cell in range(at + 1, at + side - 1):
            new[cell] = 0.25 * (old[cell - 1] + old[cell + 1] + old[cell - side] + old[cell + side])


def sweep_dense(old: Any, new: Any, side: int, first: int, last: int) -> None:
    """The same by numpy."""
    import numpy

    a = numpy.frombuffer(old).reshape(-1, side)
    b = numpy.frombuffer(new).reshape(-1, side)
    b[first:last, 1:-1] = 0.25 * (
        a[first:last, :-2] + a[first:last, 2:] + a[first - 1 : last - 1, 1:-1] + a[first + 1 : last + 1, 1:-1]
    )


def relax(sweep: Any, grids: Any, side: int, rows: int, count: int, barrier: Any, go: Any) -> None:
    """The process that has the lower half of the grid."""
    while go.recv():
        sweeps(sweep, grids, side, rows // 2, rows - 1, count, barrier)


def sweeps(sweep: Any, grids: Any, side: int, first: int, last: int, count: int, barrier: Any) -> None:
    for turn in range(count):
        sweep(grids[turn % 2], grids[1 - turn % 2], side, first, last)
        barrier.wait()


def _stencil(sweep: Any, side: int, rows: int, count: int) -> Iterator[Measure]:
    grids = [mp.RawArray("d", side * rows) for _ in range(2)]
    # All of it changes in each sweep, which zeros would not.
    grids[0][:] = grids[1][:] = [at * 7919 % 1009 / 1000 for at in range(side * rows)]
    barrier = mp.Barrier(2)
    mine, theirs = mp.Pipe()
    process = mp.Process(target=relax, args=(sweep, grids, side, rows, count, barrier, theirs))
    process.start()

    def op() -> None:
        mine.send(True)
        sweeps(sweep, grids, side, 1, rows // 2, count, barrier)

    op()
    yield lambda: once(op) / count
    mine.send(None)
    process.join()


@operation("stencil_loops")
def _stencil_loops() -> Iterator[Measure]:
    return _stencil(sweep_loops, LOOPS, LOOPS, SWEEPS)


@operation("stencil_middle")
def _stencil_middle() -> Iterator[Measure]:
    return _stencil(sweep_loops, MIDDLE, MIDDLE, SWEEPS)


@operation("stencil_dense")
def _stencil_dense() -> Iterator[Measure]:
    return _stencil(sweep_dense, DENSE, DENSE, SWEEPS)


@operation("wide_loops")
def _wide_loops() -> Iterator[Measure]:
    return _stencil(sweep_loops, WIDE, 2 * WIDE, WIDE_SWEEPS)


@operation("wide_dense")
def _wide_dense() -> Iterator[Measure]:
    return _stencil(sweep_dense, WIDE, 2 * WIDE, SWEEPS)


def look(end: Any, array: Any) -> None:
    """A process that has the array and answers with a byte of it."""
    while True:
        at = end.recv()
        if at is None:
            return
        end.send(array[at])


@operation("large_sparse")
def _large_sparse() -> Iterator[Measure]:
    array, turn = mp.RawArray("B", LARGE), [0]
    mine, theirs = mp.Pipe()
    process = mp.Process(target=look, args=(theirs, array))
    process.start()

    def op() -> None:
        turn[0] += 1
        for at in range(0, LARGE, PAGE * EVERY):
            array[at] = turn[0] % 256
        mine.send(at)
        if mine.recv() != turn[0] % 256:
            raise RuntimeError("a byte is not what was written")

    op()
    yield lambda: once(op)
    mine.send(None)
    process.join()


@operation("large_scan")
def _large_scan() -> Iterator[Measure]:
    one, two = bytearray(LARGE), bytearray(LARGE)
    addresses = [ctypes.addressof(ctypes.c_char.from_buffer(memory)) for memory in (one, two)]
    memcmp = ctypes.CDLL(None).memcmp
    memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    yield lambda: once(lambda: memcmp(*addresses, LARGE))


@operation("huge_array")
def _huge_array() -> Iterator[Measure]:
    yield lambda: once(lambda: mp.Array("b", HUGE))


@operation("huge_shm")
def _huge_shm() -> Iterator[Measure]:
    from multiprocessing import shared_memory

    def op() -> None:
        memory = shared_memory.SharedMemory(create=True, size=HUGE)
        memory.buf[0] = memory.buf[HUGE - 1] = 1
        memory.close()
        memory.unlink()

    yield lambda: each(op)
