"""What measured operations are made of; they are in `of_files`, `of_locks` and their like.

They are written as a program would: nothing in them knows of us. Each is a context: entering it makes
what it needs and shares it with another process that lives as long, leaving ends that. In between,
what it yields measures once and returns the row's number (see `rows` for its unit).
"""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Iterator
from typing import Any, Callable

if os.environ.get("BENCH_VARIANT") == "lithops":
    import lithops.multiprocessing as mp

    LITHOPS = True
else:
    import multiprocessing as mp

    LITHOPS = False

SECONDS = float(os.environ.get("BENCH_SECONDS", "0.3"))
#: Batches that one measurement is cut into: a disturbance spoils some of them.
BATCHES = 30

Measure = Callable[[], float]
OPERATIONS: dict[str, Callable[[], Any]] = {}


def operation(name: str) -> Callable[[Callable[[], Iterator[Measure]]], Any]:
    def register(function: Callable[[], Iterator[Measure]]) -> Any:
        OPERATIONS[name] = contextlib.contextmanager(function)
        return OPERATIONS[name]

    return register


def each(op: Callable[[], Any]) -> float:
    """Milliseconds of one `op`: the median of batches, over SECONDS."""
    op()
    batch = max(1, int(SECONDS * 1e3 / BATCHES / max(once(op), 1e-3)))
    found = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        found.append(once(lambda: [op() for _ in range(batch)]) / batch)
    return statistics.median(found)


def once(op: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    op()
    return (time.perf_counter() - begin) * 1e3


def rate(count: float, op: Callable[[], Any]) -> float:
    return count / once(op) * 1e3


def hold(end: Any, *_objects: Any) -> None:
    """Body of the process that an operation's objects are shared with."""
    with contextlib.suppress(EOFError):
        end.recv()


@contextlib.contextmanager
def shared(*objects: Any) -> Iterator[None]:
    if LITHOPS:
        # All of its objects are in Redis from the beginning.
        yield
        return
    mine, theirs = mp.Pipe()
    process = mp.Process(target=hold, args=(theirs, *objects))
    process.start()
    try:
        yield
    finally:
        mine.send(None)
        process.join()


@contextlib.contextmanager
def beside(target: Callable[..., Any], *args: Any, stop: Callable[[], Any] = lambda: None) -> Iterator[None]:
    """A process that does its part; `stop` ends it."""
    process = mp.Process(target=target, args=args)
    process.start()
    try:
        yield
    finally:
        stop()
        process.join()


def noop(value: Any = None) -> Any:
    return value


def nothing(*_args: Any) -> None:
    """What an empty process runs."""


def double(array: Any) -> Any:
    return array + array
