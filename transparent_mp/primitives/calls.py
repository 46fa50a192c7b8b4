"""The calls of a pool, between those who make them and the thread that puts their tasks.

Stands where CPython's Pool has a `queue.SimpleQueue` of (tasks, set_length). What the thread puts in a
burst goes in one write: it is sent before anything is waited for, be it a call, or a program's iterator,
whose next item may need the result of the last.

Who calls `apply` waits for the result anyway, so while no call is under way its task is put in the
caller's own thread, which reads the result, too, if it may: waking another costs as much as a round trip.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

from transparent_mp.primitives.tasks import TaskQueue

#: What gives its next item at once, as no iterator of a program's may.
AT_HAND = (list, tuple, range)


class AtHand:
    """Tasks of which the next one needs nobody's doing but ours."""

    def __init__(self, tasks: Iterator[Any]) -> None:
        self._tasks = tasks

    def __iter__(self) -> Iterator[Any]:
        return self._tasks

    def __next__(self) -> Any:
        return next(self._tasks)


class Calls:
    """Calls in their order. Several threads put, one gets."""

    def __init__(self, tasks: TaskQueue) -> None:
        self._tasks = tasks
        #: Threads that wait for the result of what they put, and whether they would read it.
        self.waiting: dict[int, bool] = {}
        self._calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.Lock()
        #: Calls that were put and whose tasks were not all put, with the one that was got last.
        self._under_way = 0
        self._got = False

    def put(self, call: Any) -> None:
        reads = self.waiting.get(threading.get_ident())
        with self._lock:
            if reads is not None and not self._under_way and self._put_at_once(call[0], reads):
                return
            self._under_way += 1
            self._calls.put(call)

    def get(self) -> Any:
        if self._calls.empty():
            self._tasks.flush()
        if self._got:
            with self._lock:
                self._under_way -= 1
        call = self._calls.get()
        self._got = True
        if call is None:
            return None
        tasks, set_length = call
        return (tasks if type(tasks) in (AtHand, *AT_HAND) else self._one_by_one(tasks)), set_length

    def empty(self) -> bool:
        return self._calls.empty()

    def _put_at_once(self, tasks: Any, caller_reads: bool) -> bool:
        if self._tasks.too_many():
            return False
        (task,) = tasks
        try:
            self._tasks.add(task, caller_reads=caller_reads)
        except Exception:  # noqa: BLE001  whatever a program's __reduce__ raises
            # The thread meets it again, and makes it the result.
            return False
        self._tasks.flush()
        return True

    def _one_by_one(self, tasks: Any) -> Iterator[Any]:
        self._tasks.flush()
        for task in tasks:
            yield task
            # The program's iterator may wait for the result of this very task.
            self._tasks.flush()
