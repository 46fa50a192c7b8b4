"""How long this process may live on its worker, and how one that serves tasks outlives that.

A worker may have a limit (a Lambda invocation has one). A process that takes tasks from a queue, as
those of Pool and ProcessPoolExecutor do, keeps nothing between two tasks but what its initialiser
made; so between two tasks it can be begun again elsewhere, from the same pickle: it *passes on*.
It does so when what is left may not do for another task: less than twice the longest it has seen.

A process that passes on takes no task in that moment or has it: the queue's pop decides. Whatever
is not such a process, and a task that never returns, is ended at the limit: a task by
OutlivedError, which is then its result; another process with status OUTLIVED.

It does not know how a process is begun again: `worker.child` does.
"""

from __future__ import annotations

import functools
import queue as queues
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, Callable

from transparent_mp.errors import OutlivedError
from transparent_mp.primitives import forked, pickling

#: Exit status of a process that was ended at its worker's limit: that of timeout(1).
OUTLIVED = 124
#: Tells a process that the limit is near; the default action would end it.
NEAR = signal.SIGXCPU
#: Share of the whole life that must be left for another task, however short tasks have been: what
#: a task may suddenly take longer than those before it.
LEAST = 0.1


class PassOn(BaseException):
    """Leaves a loop over tasks, between two of them."""


class Lifetime:
    """Of one process: it began just now and `ends` at that time of the monotonic clock."""

    def __init__(self, ends: float, whole: float) -> None:
        self.ends = ends
        #: Set once the process is to be begun again elsewhere.
        self.passes_on = False
        self._whole = whole
        self._longest = 0.0
        self._task_since = 0.0

    def task_begins(self) -> None:
        self._task_since = time.monotonic()

    def task_ends(self) -> None:
        if self._task_since:
            self._longest = max(self._longest, time.monotonic() - self._task_since)
            self._task_since = 0.0

    def left(self) -> float:
        """Seconds in which another task may still begin here."""
        return self.ends - time.monotonic() - max(2 * self._longest, LEAST * self._whole)

    def warn(self, _number: int, _frame: FrameType | None) -> None:
        """The signal NEAR: the limit is here."""
        if self.passes_on:
            return
        message = (
            f"a {'task' if self._task_since else 'process'} would outlive its worker, which may run for "
            f"{self._whole:.0f} s, and was ended: raise the function's timeout (900 s at most), or divide "
            "the work into shorter tasks of a Pool or executor, whose processes go on elsewhere between them"
        )
        if self._task_since:
            raise OutlivedError(message)
        sys.stderr.write(f"transparent_mp: {message}\n")
        raise SystemExit(OUTLIVED)


class _Own:
    """This process's."""

    lifetime: Lifetime | None = None


def begin(ends: float, whole: float) -> Lifetime:
    """This process ends at that time, of a worker's life of `whole` seconds."""
    _Own.lifetime = lifetime = Lifetime(ends, whole)
    signal.signal(NEAR, lifetime.warn)
    return lifetime


class Tasks:
    """A queue of tasks, of which none is taken that may not be done in time."""

    def __init__(self, queue: Any, lifetime: Lifetime) -> None:
        self._queue = queue
        self._lifetime = lifetime

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        lifetime = self._lifetime
        lifetime.task_ends()
        left = lifetime.left()
        if left <= 0:
            raise PassOn
        if not block:
            timeout = 0.0
        try:
            task = _get(self._queue, left if timeout is None else min(left, timeout))
        except queues.Empty:
            if timeout is not None and timeout <= left:
                raise
            raise PassOn from None
        lifetime.task_begins()
        return task


def _get(queue: Any, timeout: float) -> Any:
    if hasattr(queue, "_sem") or not hasattr(queue, "_reader"):
        return queue.get(True, timeout)
    # A SimpleQueue's own get knows no time-out.
    content = queue._reader.take(timeout)
    if content is None:
        raise queues.Empty
    return pickling.loads(content)


def passing_on(stock: Callable[..., Any]) -> Callable[..., Any]:
    """The function that a process of a pool runs over its queue of tasks, told of the process's end."""

    @functools.wraps(stock)
    def worker(queue: Any, *args: Any, **kwargs: Any) -> Any:
        lifetime = _Own.lifetime
        try:
            # A thread pool runs the same function in its threads.
            if lifetime is None or threading.current_thread() is not threading.main_thread():
                return stock(queue, *args, **kwargs)
            return stock(Tasks(queue, lifetime), *args, **kwargs)
        except PassOn:
            assert lifetime is not None
            lifetime.passes_on = True
            return None
        finally:
            leave = getattr(queue, "leave", None)
            if leave is not None:
                leave()

    return worker


def _after_fork_in_child() -> None:
    # A real child of a process on a worker is none of the worker's.
    _Own.lifetime = None


forked.in_child(_after_fork_in_child)
