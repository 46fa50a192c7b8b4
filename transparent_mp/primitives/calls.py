"""The calls of a pool, between those who make them and the thread that puts their tasks.

Stands where CPython's Pool has a `queue.SimpleQueue` of (tasks, set_length). What the thread puts in a
burst goes in one write: it is sent before anything is waited for, be it a call, or a program's iterator,
whose next item may need the result of the last.

Who calls `apply` waits for the result anyway, so while no call is under way its task is put in the
caller's own thread, which reads the result, too, if it may: waking another costs as much as a round trip.
Not where a signal's handler may run in it, which might wait for a call of its own: who puts a call waits
for nobody, and the pool's thread for who puts a task by himself.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
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
        self._calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # Held while a task is put by who has called.
        self._putting = threading.Lock()
        # One entry for each call that was put and whose tasks were not all put, with the one that was got
        # last; appended to in one step that no handler can divide.
        self._under_way: deque[None] = deque()
        self._got = False

    def put(self, call: Any) -> None:
        self._under_way.append(None)
        self._calls.put(call)

    def put_own(self, task: Any) -> bool:
        """Put a task at once, for who waits for its result and would read it; False: it has to be put()."""
        tasks = self._tasks
        with self._putting:
            if self._under_way or tasks.too_many():
                return False
            try:
                prepared = tasks.prepared(task)
            except Exception:  # noqa: BLE001  whatever a program's __reduce__ raises
                # The thread meets it again, and makes it the result.
                return False
            tasks.put_own(prepared)
            return True

    def get(self) -> Any:
        if self._got:
            if self._calls.empty():
                self._tasks.flush()
            self._under_way.popleft()
        call = self._calls.get()
        self._got = True
        with self._putting:
            # Whoever has found nothing under way is done.
            pass
        if call is None:
            return None
        tasks, set_length = call
        return (tasks if type(tasks) in (AtHand, *AT_HAND) else self._one_by_one(tasks)), set_length

    def empty(self) -> bool:
        return self._calls.empty()

    def _one_by_one(self, tasks: Any) -> Iterator[Any]:
        self._tasks.flush()
        for task in tasks:
            yield task
            # The program's iterator may wait for the result of this very task.
            self._tasks.flush()
