"""Does each operation of the budget on shared primitives and prints what it cost: {row: counts}."""

from __future__ import annotations

import itertools
import json
import multiprocessing as mp
import sys
import threading
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import shared_memory as shm
from typing import Any

import counting
from counting import count

from transparent_mp.primitives import session as sessions
from transparent_mp.primitives import taking

FOUND: dict[str, Any] = {}


def hold(end: Any, *_objects: Any) -> None:
    end.recv()


def nothing() -> None:
    """An empty process."""


def receive(end: Any) -> None:
    end.recv()


def costs(_task: int) -> tuple[int, int]:
    return counting.now()


def remote(end: Any, table: Any) -> None:
    end.send(count(lambda: table["k"]))


def contend(end: Any, lock: Any) -> None:
    while end.recv():
        lock.acquire()
        end.send(None)
        end.recv()
        lock.release()


def notify(end: Any, condition: Any) -> None:
    while end.recv():
        with condition:
            condition.notify()


def wait(end: Any, condition: Any) -> None:
    while end.recv():
        with condition:
            end.send(None)
            condition.wait()


def put(end: Any, queue: Any) -> None:
    while end.recv():
        queue.put(1)
        end.send(None)


def meet(end: Any, barrier: Any) -> None:
    while end.recv():
        barrier.wait()


class Beside:
    """A process that does its part with objects for the length of a block, told by an end of a pipe."""

    def __init__(self, target: Any, *objects: Any) -> None:
        self._end, theirs = mp.Pipe()
        self._process = mp.Process(target=target, args=(theirs, *objects))

    def __enter__(self) -> Any:
        self._process.start()
        return self._end

    def __exit__(self, *_exc: object) -> None:
        self._end.send(None)
        self._process.join()


class Holder(Beside):
    """A process that only holds them: what makes them shared."""

    def __init__(self, *objects: Any) -> None:
        super().__init__(hold, *objects)


def pipes() -> None:
    one, two = mp.Pipe()
    with Holder(one, two):
        FOUND["Connection.send"] = count(lambda: one.send(1))
        while two.poll():
            two.recv()
    one, two = mp.Pipe()
    with Holder(one, two):
        FOUND["Connection.recv"] = count(two.recv, lambda: one.send(1))
    one, two = mp.Pipe()
    with Holder(one, two):
        two.fileno()
        FOUND["Connection.recv, fileno() asked for"] = count(two.recv, lambda: one.send(1))
        FOUND["connection.wait and recv"] = count(
            lambda: mp.connection.wait([two]) and two.recv(), lambda: one.send(1)
        )


def queues() -> None:
    for name, queue in (
        ("Queue", mp.Queue()),
        ("SimpleQueue", mp.SimpleQueue()),
        ("bounded Queue", mp.Queue(100)),
        ("JoinableQueue", mp.JoinableQueue()),
    ):
        with Holder(queue):
            FOUND[f"{name}.put"] = count(lambda queue=queue: queue.put(1))
            FOUND[f"{name}.get"] = count(queue.get)
            if hasattr(queue, "task_done"):
                FOUND[f"{name}.task_done"] = count(
                    queue.task_done, lambda queue=queue: (queue.put(1), queue.get())
                )
                while queue._unfinished.finish():
                    pass
                others = f"{name}.task_done, of what another process has taken"
                FOUND[others] = count(queue.task_done, lambda queue=queue: queue.put(1))
                while queue._unfinished_tasks.acquire(False):
                    pass
                FOUND[f"{name}.join, when all is done"] = count(queue.join)


def consumer() -> None:
    queue = mp.Queue(100)
    with Beside(put, queue) as end:

        def filled() -> None:
            end.send(True)
            end.recv()

        FOUND["bounded Queue.get, put by another process"] = count(queue.get, filled)


def locks() -> None:
    for name, lock in (("Lock", mp.Lock()), ("RLock", mp.RLock()), ("Semaphore", mp.Semaphore(2))):

        def let_go(lock: Any = lock) -> None:
            if lock._semlock._count():
                lock.release()

        with Holder(lock):
            FOUND[f"{name}.acquire"] = count(lock.acquire, let_go)
            let_go()
            FOUND[f"{name}.release"] = count(lock.release, lock.acquire)
    lock = mp.Lock()
    with Beside(contend, lock) as end:

        def contended() -> None:
            if lock._semlock._count():
                lock.release()
            end.send(True)
            end.recv()
            end.send(True)

        FOUND["Lock.acquire, contended"] = count(lock.acquire, contended)
        lock.release()


def values() -> None:
    value, array = mp.Value("i", 0), mp.Array("d", 1000)

    def add() -> None:
        with value.get_lock():
            value.value += 1

    def section() -> None:
        with array.get_lock():
            for at in range(100):
                array[at] += 1

    lock = mp.Lock()

    def other() -> None:
        lock.acquire()
        lock.release()

    with Holder(value, array, lock):
        FOUND["another lock, Values and Arrays shared"] = count(other)
        FOUND["with value.get_lock(): value.value += 1"] = count(add)
        FOUND["with array.get_lock(): 100 elements += 1"] = count(section)


def named(end: Any) -> None:
    """Of a process on a worker: its own segments, and others' that it finds by their names."""
    made: list[Any] = []
    names = (f"budget_{at}" for at in itertools.count())

    def lose() -> None:
        if made:
            made[0].close()
            made.pop(0).unlink()

    def make() -> None:
        lose()
        made.append(shm.SharedMemory(create=True, size=100))

    def find() -> None:
        shm.SharedMemory(given).close()

    found = {
        "SharedMemory, created": count(lambda: made.append(shm.SharedMemory(create=True, size=100)), lose),
        "SharedMemory.name": count(lambda: made[0].name, make),
        "SharedMemory.unlink, of a name that was asked for": count(
            lambda: made[0].unlink(), lambda: (made.clear(), make(), made[0].name)
        ),
    }
    made.clear()
    found["SharedMemory, created under a name"] = count(
        lambda: made.append(shm.SharedMemory(next(names), create=True, size=100)), lose
    )
    lose()
    given = end.recv()
    found["SharedMemory, found by its name"] = count(find)
    found["SharedMemory.buf, the first look"] = count(
        lambda: made[0].buf, lambda: (made.clear(), made.append(shm.SharedMemory(given)))
    )
    made.clear()
    end.send(found)


def segments() -> None:
    mine, theirs = mp.Pipe()
    memory = shm.SharedMemory(create=True, size=100)
    process = mp.Process(target=named, args=(theirs,))
    process.start()
    mine.send(memory.name)
    FOUND.update(mine.recv())
    process.join()
    memory.close()
    memory.unlink()


def events() -> None:
    event = mp.Event()
    with Holder(event):
        FOUND["Event.set"] = count(event.set, event.clear)
        FOUND["Event.is_set"] = count(event.is_set)
        FOUND["Event.wait, when set"] = count(event.wait)


def conditions() -> None:
    condition = mp.Condition()
    with Beside(notify, condition) as end, condition:
        FOUND["Condition.wait"] = count(condition.wait, lambda: end.send(True))

    condition = mp.Condition()
    with Beside(wait, condition) as end:

        def waited_for() -> None:
            if condition._lock._semlock._count():
                condition.release()
            end.send(True)
            end.recv()
            condition.acquire()

        FOUND["Condition.notify"] = count(condition.notify, waited_for)
        condition.release()


def barriers() -> None:
    barrier = mp.Barrier(2)
    with Beside(meet, barrier) as end:
        FOUND["Barrier.wait"] = count(barrier.wait, lambda: end.send(True))


def managers() -> None:
    with mp.Manager() as manager:
        table = manager.dict(k=1)
        FOUND["manager proxy call, at the client"] = count(lambda: table["k"])
        mine, theirs = mp.Pipe()
        process = mp.Process(target=remote, args=(theirs, table))
        process.start()
        FOUND["manager proxy call, in a process"] = mine.recv()
        process.join()


def processes() -> None:
    started: list[Any] = []

    def make() -> None:
        started.append(mp.Process(target=nothing))

    def start() -> None:
        started[-1].start()

    FOUND["Process.start"] = count(start, make)

    def make_started() -> None:
        make()
        start()

    FOUND["Process.join"] = count(lambda: started[-1].join(), make_started)
    for process in started:
        process.join()


def last_for(span: float) -> None:
    """Have tasks taken together that last so long together; none is given back on a busy machine."""
    taking.SPAN, taking.TRIPS, taking.LOOK_EVERY = span, 0, 1000.0


def burst(span: float) -> dict[str, float]:
    """Of tasks that all lie there when the first of them is taken."""
    mine, theirs = mp.Pipe()
    with mp.Pool(1, last_for, (span,)) as pool:
        pool.apply_async(receive, (theirs,))
        found = pool.map_async(costs, range(100), chunksize=1)
        tasks, store = pool._inqueue.ours._shared.outbound, sessions.current().store
        deadline = time.monotonic() + 20
        # What the pool's own thread puts tells nobody.
        while store.ask("LLEN", tasks) < 100 and time.monotonic() < deadline:
            time.sleep(0.001)
        mine.send(None)
        return _between(found.get())


def pools() -> None:
    FOUND["Pool task, on the worker"] = burst(0.0)
    FOUND["Pool task of a burst of short ones, on the worker"] = burst(1000.0)
    with mp.Pool(1) as pool:
        pool.apply(nothing)
        handlers = threading.get_ident(), pool._task_handler.ident, pool._result_handler.ident
        # One more or less, as the handler of results has begun to wait for the next one or not yet.
        FOUND["Pool.apply, at the client"] = count(
            lambda: pool.apply(nothing), look=lambda: counting.of(*handlers), times=20
        )
    with ProcessPoolExecutor(1, initializer=last_for, initargs=(0.0,)) as executor:
        FOUND["executor task, on the worker"] = _between(list(executor.map(costs, range(10))))


def _between(found: list[tuple[int, int]]) -> dict[str, float]:
    (waits, commands), (last_waits, last_commands) = found[2], found[-1]
    tasks = len(found) - 3
    return {"waits": (last_waits - waits) / tasks, "commands": (last_commands - commands) / tasks}


if __name__ == "__main__":
    mp.set_start_method("fork")
    for part in (
        pipes,
        queues,
        consumer,
        locks,
        values,
        segments,
        events,
        conditions,
        barriers,
        managers,
        processes,
        pools,
    ):
        try:
            part()
        except Exception:
            # The rows of this part are then missing, and their tests say so.
            traceback.print_exc()
    json.dump(FOUND, sys.stdout)
