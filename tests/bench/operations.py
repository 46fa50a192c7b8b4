"""The operations that are measured, written as a program would: nothing in it knows of us.

Each is a context: entering it makes what it needs and shares it with another process that lives as
long, leaving ends that. In between, what it yields measures once and returns the row's number (see
`rows` for its unit).
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

WIDTH = 2
SECONDS = float(os.environ.get("BENCH_SECONDS", "0.3"))
TASKS = 1000
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


# Locks


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


# Shared values


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


# Queues and pipes


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


# Events, conditions, barriers


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


# Managers


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


# Processes


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


# Pools and executors


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
