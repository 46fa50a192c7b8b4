"""Measured: queues, pipes and managers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Callable

from operations import (
    Measure,
    beside,
    each,
    mp,
    operation,
    rate,
    shared,
)


def _put_get(queue: Any) -> Iterator[Measure]:
    def op() -> None:
        queue.put(1)
        queue.get()

    with shared(queue):
        yield lambda: each(op)


@operation("queue")
def _queue() -> Iterator[Measure]:
    return _put_get(mp.Queue())


@operation("queue_bounded")
def _queue_bounded() -> Iterator[Measure]:
    return _put_get(mp.Queue(10))


@operation("simplequeue")
def _simplequeue() -> Iterator[Measure]:
    return _put_get(mp.SimpleQueue())


@operation("queue_joinable")
def _queue_joinable() -> Iterator[Measure]:
    queue = mp.JoinableQueue()

    def op() -> None:
        queue.put(1)
        queue.get()
        queue.task_done()

    with shared(queue):
        yield lambda: each(op)


def echo_queue(there: Any, back: Any) -> None:
    while True:
        value = there.get()
        back.put(value)
        if value is None:
            return


@operation("queue_echo")
def _queue_echo() -> Iterator[Measure]:
    there, back = mp.Queue(), mp.Queue()

    def op(value: Any = 1) -> None:
        there.put(value)
        back.get()

    with beside(echo_queue, there, back, stop=lambda: op(None)):
        yield lambda: each(op)


def produce(end: Any, queue: Any, count: int) -> None:
    while end.recv():
        for value in range(count):
            queue.put(value)


@operation("queue_stream")
def _queue_stream() -> Iterator[Measure]:
    queue, count = mp.Queue(), 3000
    mine, theirs = mp.Pipe()

    def measure() -> float:
        mine.send(True)
        queue.get()
        return rate(count - 1, lambda: [queue.get() for _ in range(count - 1)])

    with beside(produce, theirs, queue, count, stop=lambda: mine.send(False)):
        yield measure


def echo_pipe(end: Any) -> None:
    while True:
        content = end.recv_bytes()
        end.send_bytes(content)
        if content == b"END":
            return


def _pipe_echo(ready: Callable[[Any], Any]) -> Iterator[Measure]:
    mine, theirs = mp.Pipe()

    def op(content: bytes = b"x" * 100) -> None:
        mine.send_bytes(content)
        ready(mine)
        mine.recv_bytes()

    with beside(echo_pipe, theirs, stop=lambda: op(b"END")):
        yield lambda: each(op)


@operation("pipe_echo")
def _pipe_echo_plain() -> Iterator[Measure]:
    return _pipe_echo(lambda _end: None)


@operation("pipe_echo_wait")
def _pipe_echo_wait() -> Iterator[Measure]:
    return _pipe_echo(lambda end: mp.connection.wait([end]))


def sink(end: Any) -> None:
    while True:
        content = end.recv_bytes()
        if len(content) == 1:
            end.send(True)
            if content == b"E":
                return


@operation("pipe_1MB")
def _pipe_1mb() -> Iterator[Measure]:
    mine, theirs = mp.Pipe()
    content, count = b"x" * 1_000_000, 50

    def op(last: bytes = b"M") -> None:
        for _ in range(count if last == b"M" else 0):
            mine.send_bytes(content)
        mine.send_bytes(last)
        mine.recv()

    with beside(sink, theirs, stop=lambda: op(b"E")):
        yield lambda: rate(count, op)


def _managed(make: Callable[[Any], Callable[[], Any]]) -> Iterator[Measure]:
    manager = mp.Manager()
    try:
        op = make(manager)
        yield lambda: each(op)
    finally:
        manager.shutdown()


@operation("manager_set")
def _manager_set() -> Iterator[Measure]:
    def make(manager: Any) -> Callable[[], Any]:
        table = manager.dict()
        return lambda: table.__setitem__("k", 1)

    return _managed(make)


@operation("manager_get")
def _manager_get() -> Iterator[Measure]:
    def make(manager: Any) -> Callable[[], Any]:
        table = manager.dict(k=1)
        return lambda: table["k"]

    return _managed(make)


def get_when_told(end: Any, table: Any) -> None:
    while end.recv():
        end.send(each(lambda: table["k"]))


@operation("manager_get_remote")
def _manager_get_remote() -> Iterator[Measure]:
    manager = mp.Manager()
    mine, theirs = mp.Pipe()

    def measure() -> float:
        mine.send(True)
        return float(mine.recv())

    with beside(get_when_told, theirs, manager.dict(k=1), stop=lambda: mine.send(False)):
        yield measure
    manager.shutdown()


@operation("manager_value")
def _manager_value() -> Iterator[Measure]:
    def make(manager: Any) -> Callable[[], Any]:
        value = manager.Value("i", 0)

        def op() -> None:
            value.value += 1

        return op

    return _managed(make)


@operation("manager_lock")
def _manager_lock() -> Iterator[Measure]:
    def make(manager: Any) -> Callable[[], Any]:
        lock = manager.Lock()

        def op() -> None:
            lock.acquire()
            lock.release()

        return op

    return _managed(make)


@operation("manager_queue")
def _manager_queue() -> Iterator[Measure]:
    def make(manager: Any) -> Callable[[], Any]:
        queue = manager.Queue()

        def op() -> None:
            queue.put(1)
            queue.get()

        return op

    return _managed(make)


@operation("manager_start")
def _manager_start() -> Iterator[Measure]:
    def measure() -> float:
        begin = time.perf_counter()
        manager = mp.Manager()
        manager.dict()
        taken = (time.perf_counter() - begin) * 1e3
        manager.shutdown()
        return taken

    yield measure
