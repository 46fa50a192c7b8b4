"""Measured: processes, pools and executors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Callable

from operations import (
    LITHOPS,
    Measure,
    double,
    each,
    mp,
    noop,
    nothing,
    once,
    operation,
    rate,
)

WIDTH = 2
#: A rate is a rate: Lithops, at a few tasks a second, is given fewer.
TASKS = 20 if LITHOPS else 1000


def _run(count: int = 1) -> None:
    processes = [mp.Process(target=nothing, args=(1,)) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


@operation("process_start")
def _process_start() -> Iterator[Measure]:
    def measure() -> float:
        process = mp.Process(target=nothing, args=(1,))
        taken = once(process.start)
        process.join()
        return taken

    _run()
    yield lambda: sorted(measure() for _ in range(5))[2]


@operation("process")
def _process() -> Iterator[Measure]:
    _run()
    yield lambda: sorted(once(_run) for _ in range(5))[2]


@operation("process_x8")
def _process_x8() -> Iterator[Measure]:
    _run(8)
    yield lambda: once(lambda: _run(8))


@operation("shm_8MB")
def _shm() -> Iterator[Measure]:
    import numpy as np

    if LITHOPS:
        raise NotImplementedError("it has no shared_memory")
    from multiprocessing import shared_memory

    def op() -> None:
        memory = shared_memory.SharedMemory(create=True, size=8_000_000)
        array = np.ndarray((1_000_000,), dtype="f8", buffer=memory.buf)
        array[:] = 1.0
        del array
        memory.close()
        memory.unlink()

    yield lambda: once(op)


def _pool_first() -> float:
    begin = time.perf_counter()
    pool = mp.Pool(WIDTH)
    pool.apply(noop, (1,))
    taken = (time.perf_counter() - begin) * 1e3
    pool.close()
    pool.join()
    return taken


@operation("pool_first")
def _pool_first_warm() -> Iterator[Measure]:
    _pool_first()
    yield _pool_first


@operation("pool_life")
def _pool_life() -> Iterator[Measure]:
    def op() -> None:
        with mp.Pool(WIDTH) as pool:
            pool.map(noop, range(WIDTH))
            pool.close()
            pool.join()

    yield lambda: once(op)


def _in_pool(make: Callable[[Any], Measure]) -> Iterator[Measure]:
    pool = mp.Pool(WIDTH)
    pool.map(noop, range(4 * WIDTH), chunksize=1)
    yield make(pool)
    pool.close()
    pool.join()


@operation("pool_apply")
def _pool_apply() -> Iterator[Measure]:
    return _in_pool(lambda pool: lambda: each(lambda: pool.apply(noop, (1,))))


@operation("map_1000")
def _map_1000() -> Iterator[Measure]:
    return _in_pool(lambda pool: lambda: rate(TASKS, lambda: pool.map(noop, range(TASKS), chunksize=1)))


@operation("map_10000")
def _map_10000() -> Iterator[Measure]:
    return _in_pool(lambda pool: lambda: rate(10 * TASKS, lambda: pool.map(noop, range(10 * TASKS))))


@operation("imap_1000")
def _imap_1000() -> Iterator[Measure]:
    return _in_pool(lambda pool: lambda: rate(TASKS, lambda: list(pool.imap_unordered(noop, range(TASKS)))))


def _arrays() -> list[Any]:
    import numpy as np

    return [np.arange(1_000_000, dtype=np.float64) + at for at in range(8)]


def _over_arrays(run: Callable[[list[Any]], list[Any]]) -> Measure:
    arrays = _arrays()

    def op() -> None:
        for before, after in zip(arrays, run(arrays)):
            if after[5] != before[5] * 2:
                raise RuntimeError("a wrong array came back")

    return lambda: rate(2 * sum(array.nbytes for array in arrays) / 1e6, op)


@operation("map_arrays")
def _map_arrays() -> Iterator[Measure]:
    return _in_pool(lambda pool: _over_arrays(lambda arrays: pool.map(double, arrays, chunksize=1)))


def _executor() -> Any:
    if LITHOPS:
        raise NotImplementedError("it has no executor of concurrent.futures")
    from concurrent.futures import ProcessPoolExecutor

    return ProcessPoolExecutor(WIDTH)


def _in_executor(make: Callable[[Any], Measure]) -> Iterator[Measure]:
    with _executor() as executor:
        list(executor.map(noop, range(4 * WIDTH)))
        yield make(executor)


@operation("executor_first")
def _executor_first() -> Iterator[Measure]:
    def measure() -> float:
        begin = time.perf_counter()
        with _executor() as executor:
            executor.submit(noop, 1).result()
            return (time.perf_counter() - begin) * 1e3

    measure()
    yield measure


@operation("executor_result")
def _executor_result() -> Iterator[Measure]:
    return _in_executor(lambda executor: lambda: each(lambda: executor.submit(noop, 1).result()))


@operation("executor_1000")
def _executor_1000() -> Iterator[Measure]:
    return _in_executor(lambda executor: lambda: rate(TASKS, lambda: list(executor.map(noop, range(TASKS)))))


@operation("executor_completed")
def _executor_completed() -> Iterator[Measure]:
    from concurrent.futures import as_completed

    def make(executor: Any) -> Measure:
        def op() -> None:
            for _ in as_completed([executor.submit(noop, at) for at in range(TASKS)]):
                pass

        return lambda: rate(TASKS, op)

    return _in_executor(make)


@operation("executor_arrays")
def _executor_arrays() -> Iterator[Measure]:
    return _in_executor(lambda executor: _over_arrays(lambda arrays: list(executor.map(double, arrays))))
