"""Runs random programs on processes of a session and checks what they read.

    python -m transparent_mp tests/property/run.py --seed 1 --runs 500
    python tests/property/run.py ...                 plain Python: tests the checker

The client is process 0; the others live through all runs, and every run begins with zeros everywhere.
A failure prints the seed: run again with --seed SEED --runs 1 (as often as it takes: what the
processes do is drawn from the seed, when they do it is not).
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import multiprocessing as mp
import multiprocessing.connection
import os
import random
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import checker
import programs

PLAIN = "plain Python"
#: Seconds in which a run is over.
PATIENCE = 60
#: More than a program ever lets go of one semaphore.
UPS = 50
#: Whose threads release something all the time, and the seconds between.
NOISY, NOISE = frozenset({2}), 0.0005
#: Who has the buffer of `mixed`: process 1 from the beginning.
TAKEN_OUT = frozenset({1})
#: Bytes behind `vast` that no program touches: a small segment is exchanged in another way.
BEYOND = 20_000


class World:
    """What the processes share."""

    def __init__(self, count: int, small: bool) -> None:
        """`small`: all segments are."""
        self.count = count
        beyond = {} if small else {"vast": BEYOND}
        self.raw = {
            name: mp.RawArray("B", programs.SEGMENTS[name] + beyond.get(name, 0)) for name in programs.FREE
        }
        self.riding = {name: mp.Array("B", programs.SEGMENTS[name]) for name in (*programs.RIDING, "mixed")}
        # Counts the sections of each lock, on which it rides too.
        self.sections = {name: mp.Value("q", 0, lock=array.get_lock()) for name, array in self.riding.items()}
        pairs = [(one, two) for one in range(count) for two in range(count) if one != two]
        self.pipes = {pair: mp.Pipe(duplex=False) for pair in pairs}
        # A bounded one is let go by a process that has not acquired it.
        self.ups = {
            pair: mp.Semaphore(0) if pair < pair[::-1] else mp.BoundedSemaphore(UPS) for pair in pairs
        }
        self.queues = [mp.Queue() for _ in range(count)]
        self.events = [mp.Event() for _ in range(programs.EVENTS)]
        self.noise = mp.Event()
        self.barrier = mp.Barrier(count)
        self.condition = mp.Condition()
        self.given = mp.Value("q", 0, lock=self.condition._lock)
        self.traces = mp.SimpleQueue()


class Player:
    """One process of the programs."""

    def __init__(self, world: World, process: Any, lines: Any = None) -> None:
        """`lines`: other process -> an end of a pipe of both directions that nobody else has."""
        self.lines = lines or {}
        self.world = world
        self.process = process
        self.trace: list[checker.Step] = []
        self.children: list[tuple[Any, Any]] = []
        self.memory = dict(world.raw)
        if process in TAKEN_OUT:
            self.memory["mixed"] = world.riding["mixed"].get_obj()

    def play(self, ops: Sequence[programs.Op], chance: random.Random) -> None:
        for op in ops:
            for _ in range(chance.randrange(2000) if chance.random() < 0.2 else 0):
                pass
            named = op
            if op[0] == "join":
                process, name = self.children.pop()
                process.join()
                named = ("join", name)
                result = None
            else:
                # Before it is done: who is told of it may be told its number.
                result = getattr(self, op[0])(*op[1:])
            self.trace.append((named, result))

    def write(self, segment: str, start: int, length: int, step: int, number: int) -> None:
        memory = self.memory.get(segment) or self.world.riding[segment]
        if step == 1:
            memory[start : start + length] = [number] * length
        else:
            for at in range(start, start + length * step, step):
                memory[at] = number

    def read(self, segment: str, start: int, length: int, step: int) -> bytes:
        memory = self.memory.get(segment) or self.world.riding[segment]
        return bytes(memory[start : start + length * step : step])

    def acquire(self, lock: str) -> int:
        self.world.riding[lock].acquire()
        count = self.world.sections[lock]
        count.value += 1
        return int(count.value) - 1

    def release(self, lock: str) -> None:
        self.world.riding[lock].release()

    def send(self, other: int) -> None:
        end = self.lines.get(other) or self.world.pipes[self.process, other][1]
        end.send((self.process, len(self.trace)))

    def receive(self, other: int, how: str) -> Any:
        end = self.lines.get(other) or self.world.pipes[other, self.process][0]
        if other in self.lines:
            # Neither looked at nor asked for its descriptor, so that answers go on being sent for early.
            return end.recv()
        if how == "wait":
            mp.connection.wait([end], PATIENCE)
        elif how == "poll":
            end.poll(PATIENCE)
        return end.recv()

    def put(self, other: int) -> None:
        self.world.queues[other].put((self.process, len(self.trace)))

    def get(self) -> Any:
        return self.world.queues[self.process].get(timeout=PATIENCE)

    def up(self, other: int) -> None:
        self.world.ups[self.process, other].release()

    def down(self, other: int) -> None:
        assert self.world.ups[other, self.process].acquire(timeout=PATIENCE)

    def set(self, event: int) -> None:
        self.world.events[event].set()

    def look(self, event: int) -> bool:
        return self.world.events[event].is_set()

    def meet(self) -> None:
        self.world.barrier.wait(PATIENCE)

    def give(self) -> int:
        with self.world.condition:
            self.world.given.value += 1
            self.world.condition.notify_all()
            return int(self.world.given.value)

    def take(self, number: int) -> int:
        given = self.world.given
        with self.world.condition:
            assert self.world.condition.wait_for(lambda: given.value >= number, PATIENCE)
            return int(given.value)

    def child(self, ops: Any) -> Any:
        name = self.process, len(self.trace)
        process = mp.Process(target=be_child, args=(self.world, name, ops))
        process.start()
        self.children.append((process, name))

    def clean(self) -> None:
        """Bring everything back to its beginning; the others wait."""
        world = self.world
        for segment, size in programs.SEGMENTS.items():
            if segment in world.riding:
                with world.riding[segment]:
                    world.riding[segment][:] = [0] * size
                    world.sections[segment].value = 0
            else:
                self.memory[segment][:size] = bytes(size)
        for event in world.events:
            event.clear()
        with world.condition:
            world.given.value = 0


# `await` is a word of the language.
setattr(Player, "await", lambda self, event: self.world.events[event].wait(PATIENCE))


def be_child(world: World, name: Any, ops: Any) -> None:
    """A process of a program: does its part and tells of it, then writes, and ends without a word."""
    player = Player(world, name)
    player.trace.append((("begin", name), None))
    last = len(ops)
    while last and ops[last - 1][0] == "write":
        last -= 1
    player.play(ops[:last], random.Random(len(ops)))
    world.traces.put((name, player.trace + [(op, None) for op in ops[last:]]))
    player.play(ops[last:], random.Random(0))


def begin(world: World, process: int) -> None:
    """What a process does before the first run."""
    for (_, other), up in world.ups.items():
        while other == process and up.acquire(False):
            pass
    if process in NOISY and _memory() != PLAIN:
        # It releases what the program's thread has written, too, in the middle of what that one does.
        sys.setswitchinterval(1e-5)
        threading.Thread(target=be_noisy, args=(world.noise,), daemon=True).start()


def be_noisy(event: Any) -> None:
    while True:
        event.set()
        time.sleep(NOISE)


def be_player(world: World, process: int, line: Any, seed: int, runs: int) -> None:
    """A process that plays its part in all runs. `line`: to process 0."""
    begin(world, process)
    for at in range(runs):
        faulthandler.dump_traceback_later(PATIENCE)
        player = Player(world, process, {0: line})
        play_one(player, seed + at)
        world.traces.put((process, player.trace))
        faulthandler.cancel_dump_traceback_later()


def play_one(player: Player, seed: int) -> None:
    world = player.world
    if player.process == 0:
        player.clean()
    world.barrier.wait(PATIENCE)
    program = programs.draw(seed, world.count, TAKEN_OUT)
    player.play(program.ops[player.process], random.Random(seed * 31 + player.process))
    world.barrier.wait(PATIENCE)
    drain(player, program)
    world.barrier.wait(PATIENCE)


def drain(player: Player, program: programs.Program) -> None:
    """Take what was sent to this process and not received."""
    me = player.process
    left: collections.Counter[Any] = collections.Counter()
    for process, ops in enumerate(program.ops):
        for op in ops:
            if op[0] in ("send", "put", "up") and op[1] == me:
                left[op[0], None if op[0] == "put" else process] += 1
    for op in program.ops[me]:
        if op[0] in ("receive", "get", "down"):
            left[{"receive": "send", "get": "put", "down": "up"}[op[0]], op[1] if len(op) > 1 else None] -= 1
    for (kind, other), count in left.items():
        for _ in range(count):
            if kind == "put":
                player.get()
            elif kind == "up":
                player.down(other)
            else:
                player.receive(other, "recv")


def collected(world: World, own: Player) -> dict[Any, list[checker.Step]]:
    """The traces of a run: those of all processes and of their children."""
    traces = {own.process: own.trace}
    expected = set(range(world.count)) | _joined(own.trace)
    while expected - traces.keys():
        process, trace = world.traces.get()
        traces[process] = trace
        expected |= _joined(trace)
    return traces


def _joined(trace: list[checker.Step]) -> set[Any]:
    return {op[1] for op, _ in trace if op[0] == "join"}


def _memory() -> str:
    """Whose shared memory it is."""
    ours = sys.modules.get("transparent_mp")
    return os.path.dirname(ours.__file__ or "") if ours is not None else PLAIN


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--start", default="fork")
    parser.add_argument("--small", action="store_true", help="all segments are")
    options = parser.parse_args()
    mp.set_start_method(options.start)
    seed = random.SystemRandom().randrange(10**9) if options.seed is None else options.seed
    print(f"seeds {seed} to {seed + options.runs - 1}, with {_memory()}", flush=True)
    world = World(options.processes, options.small)
    lines = {at: mp.Pipe() for at in range(1, options.processes)}
    others = [
        mp.Process(target=be_player, args=(world, at, theirs, seed, options.runs))
        for at, (_, theirs) in lines.items()
    ]
    for process in others:
        process.start()
    begin(world, 0)
    begun = time.monotonic()
    reads, small = 0, " --small" if options.small else ""
    for at in range(options.runs):
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        player = Player(world, 0, {at: mine for at, (mine, _) in lines.items()})
        try:
            play_one(player, seed + at)
            traces = collected(world, player)
            checker.check(traces)
        except BaseException:
            print(f"failed: --seed {seed + at} --runs 1 --processes {options.processes}{small}", flush=True)
            for process in others:
                process.kill()
            raise
        reads += sum(op[0] == "read" for trace in traces.values() for op, _ in trace)
    for process in others:
        process.join()
    print(f"{options.runs} runs, {reads} reads checked, {time.monotonic() - begun:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
