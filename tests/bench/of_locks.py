"""Measured: locks, shared values, events, conditions and barriers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from operations import (
    Measure,
    beside,
    each,
    mp,
    once,
    operation,
    shared,
)


def _pair(lock: Any) -> Iterator[Measure]:
    def op() -> None:
        lock.acquire()
        lock.release()

    with shared(lock):
        yield lambda: each(op)


@operation("lock")
def _lock() -> Iterator[Measure]:
    return _pair(mp.Lock())


@operation("semaphore")
def _semaphore() -> Iterator[Measure]:
    return _pair(mp.Semaphore(4))


@operation("rlock")
def _rlock() -> Iterator[Measure]:
    return _pair(mp.RLock())


def add(value: Any, count: int) -> None:
    for _ in range(count):
        with value.get_lock():
            value.value += 1


@operation("value_locked")
def _value_locked() -> Iterator[Measure]:
    value = mp.Value("i", 0)
    with shared(value):
        yield lambda: each(lambda: add(value, 1))


def add_when_told(end: Any, value: Any, count: int) -> None:
    while end.recv():
        add(value, count)
        end.send(True)


@operation("value_contended")
def _value_contended() -> Iterator[Measure]:
    value, count, ends = mp.Value("i", 0), 500, []
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            mine, theirs = mp.Pipe()
            ends.append(mine)
            stack.enter_context(
                beside(add_when_told, theirs, value, count, stop=lambda end=mine: end.send(False))
            )

        def op() -> None:
            for end in ends:
                end.send(True)
            for end in ends:
                end.recv()

        yield lambda: once(op) / (2 * count)


@operation("rawvalue")
def _rawvalue() -> Iterator[Measure]:
    value = mp.RawValue("i", 0)

    def op() -> None:
        value.value += 1

    with shared(value):
        yield lambda: each(op)


@operation("array_item")
def _array_item() -> Iterator[Measure]:
    array = mp.Array("d", 1000)

    def op() -> None:
        array[3] = array[4] + 1

    with shared(array):
        yield lambda: each(op)


@operation("array_slice")
def _array_slice() -> Iterator[Measure]:
    array = mp.Array("d", 1000)
    with shared(array):
        yield lambda: each(lambda: array[:])


@operation("array_section")
def _array_section() -> Iterator[Measure]:
    array = mp.Array("d", 1000)

    def op() -> None:
        with array.get_lock():
            for at in range(100):
                array[at] += 1

    with shared(array):
        yield lambda: each(op)


@operation("event_set")
def _event_set() -> Iterator[Measure]:
    event = mp.Event()
    with shared(event):
        yield lambda: each(event.set)


@operation("event_is_set")
def _event_is_set() -> Iterator[Measure]:
    event = mp.Event()
    with shared(event):
        yield lambda: each(event.is_set)


@operation("event_wait")
def _event_wait() -> Iterator[Measure]:
    event = mp.Event()
    event.set()
    with shared(event):
        yield lambda: each(event.wait)


def answer_event(asked: Any, answered: Any, over: Any) -> None:
    while True:
        asked.wait()
        asked.clear()
        answered.set()
        if over.is_set():
            return


@operation("event_pingpong")
def _event_pingpong() -> Iterator[Measure]:
    asked, answered, over = mp.Event(), mp.Event(), mp.Event()

    def op() -> None:
        asked.set()
        answered.wait()
        answered.clear()

    def stop() -> None:
        over.set()
        op()

    with beside(answer_event, asked, answered, over, stop=stop):
        yield lambda: each(op)


def answer_condition(condition: Any, ready: Any) -> None:
    with condition:
        ready.release()
        while condition.wait(5):
            condition.notify()


@operation("condition_pingpong")
def _condition_pingpong() -> Iterator[Measure]:
    condition, ready = mp.Condition(), mp.Semaphore(0)

    def op() -> None:
        condition.notify()
        if not condition.wait(5):
            raise RuntimeError("the other side did not notify")

    process = mp.Process(target=answer_condition, args=(condition, ready), daemon=True)
    process.start()
    ready.acquire()
    with condition:
        yield lambda: each(op)
    process.terminate()
    process.join()


def wait_barrier(barrier: Any) -> None:
    with contextlib.suppress(mp.BrokenBarrierError if hasattr(mp, "BrokenBarrierError") else RuntimeError):
        while True:
            barrier.wait()


@operation("barrier")
def _barrier() -> Iterator[Measure]:
    barrier = mp.Barrier(2)
    with beside(wait_barrier, barrier, stop=barrier.abort):
        yield lambda: each(barrier.wait)
