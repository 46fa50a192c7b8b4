"""What differs in multiprocessing.pool: CPython's Pool runs as it is, over tasks and results of our own.

Its two queues are `tasks` and `results`, for which a task costs a process no round trip of its own
when tasks are short. A process that has ended is looked after: what it had not begun is run by
another, and the task it had begun raises WorkerLostError, where the standard library's Pool waits
for it for ever.

Its thread that looks after workers waits for their sentinels and for a notifier, and also on the fd
of the results' pipe, though the notifier tells it when the last result has come (ThreadPool's own
waits for nothing else). Here there is no such fd. While the pool runs the notifier does not tell it of
last results either, for which it has nothing to do: after each `apply` it would take the interpreter
from who calls the next.

When the store is lost no result can come any more: those that are waited for get the error, where
CPython's threads would only end.

Classes that bring queues of their own (joblib's pools) keep them, and what plain Python does.
"""

from __future__ import annotations

import functools
import threading
import weakref
from multiprocessing import pool as stdlib
from typing import Any, Callable

from transparent_mp.errors import WorkerLostError
from transparent_mp.launch.fleet import VANISHED
from transparent_mp.primitives.alone import runs_handlers
from transparent_mp.primitives.calls import AT_HAND, AtHand, Calls
from transparent_mp.primitives.results import ResultQueue
from transparent_mp.primitives.tasks import TaskQueue, of_taker


def setup_queues(self: Any) -> None:
    """Make the pool's queues."""
    self._inqueue = tasks = TaskQueue(_name_of)
    self._outqueue = ResultQueue(tasks, _name_of)
    self._quick_put = tasks.put
    self._quick_get = self._outqueue.get_next


def get_sentinels(self: Any) -> list[Any]:
    """What the thread that looks after workers waits for, beside their own sentinels."""
    # Asked once by every pool that is made, before its threads are.
    _pools.add(self)
    if isinstance(self._inqueue, TaskQueue):
        self._taskqueue = Calls(self._inqueue)
        self._cache.notifier = WhenEnding(self)
    return [self._change_notifier._reader]


def apply(stock: Callable[..., Any]) -> Callable[..., Any]:
    """Pool.apply; who calls it puts the task and reads the result, if no other is under way."""
    plain = stock.__globals__["Pool"].apply_async

    @functools.wraps(stock)
    def apply_ours(self: Any, func: Any, args: Any = (), kwds: Any = {}) -> Any:  # noqa: B006  the stock's
        tasks, calls = self._inqueue, self._taskqueue
        # A handler might wait for a result itself, which this thread has read and not given yet.
        if not isinstance(calls, Calls) or self._state != stdlib.RUN or runs_handlers():
            return stock(self, func, args, kwds)
        if getattr(self.apply_async, "__func__", None) is not plain:
            # A subclass has a say in what is put.
            return stock(self, func, args, kwds)
        cache = self._cache
        result = Awaited(cache)
        name = result.job, 0
        try:
            if not calls.put_own((result.job, 0, func, args, kwds)):
                result.drop()
                return stock(self, func, args, kwds)
            try:
                found = self._outqueue.read_own(name)
                if found is not None and result.drop():
                    result.found = found[2]
            except (EOFError, OSError):
                # The error of a store that is lost comes to every result by itself.
                pass
        except BaseException:
            if not tasks.lacks(name):
                # It was read, and is nobody's; who joins the pool waits for those that are noted there.
                result.drop()
            raise
        finally:
            tasks.hand_over(name)
        return result.get()

    return apply_ours


class Awaited:
    """A result in a pool's cache that only the caller of `apply` sees, who may have read it by himself."""

    __slots__ = ("_cache", "_come", "found", "job")

    def __init__(self, cache: Any) -> None:
        #: Whether the task has succeeded, and what it has returned or raised.
        self.found: tuple[bool, Any] | None = None
        self.job = next(stdlib.job_counter)  # type: ignore[attr-defined]
        self._cache = cache
        self._come = threading.Lock()
        self._come.acquire()
        cache[self.job] = self

    def _set(self, _number: int, found: tuple[bool, Any]) -> None:
        """By the pool's thread, or who finds the store lost."""
        if self.drop():
            self.found = found
            self._come.release()

    def drop(self) -> bool:
        """Whether nobody had given it; nobody is to from here on."""
        try:
            # It tells who waits for its last.
            del self._cache[self.job]
        except KeyError:
            return False
        return True

    def get(self) -> Any:
        if self.found is None:
            self._come.acquire()
        assert self.found is not None
        success, value = self.found
        if success:
            return value
        raise value


class WhenEnding:
    """Stands where a pool's cache has the notifier, which it tells when the last result has come."""

    def __init__(self, pool: Any) -> None:
        self._pool = weakref.ref(pool)
        self._notifier = pool._change_notifier

    def put(self, item: Any) -> None:
        pool = self._pool()
        # Who ends a pool says so first, and tells the notifier after.
        if pool is None or pool._state != stdlib.RUN:
            self._notifier.put(item)


def get_tasks(stock: Any) -> Any:
    """Pool._get_tasks, which divides an iterable into chunks."""
    divide = stock.__func__

    def chunks(func: Any, it: Any, size: int) -> Any:
        found = divide(func, it, size)
        return AtHand(found) if type(it) in AT_HAND else found

    return staticmethod(chunks)


def guarded_task_generation(stock: Callable[..., Any]) -> Callable[..., Any]:
    """Pool._guarded_task_generation, which makes tasks of an iterable's items."""

    def tasks(self: Any, result_job: int, func: Any, iterable: Any) -> Any:
        found = stock(self, result_job, func, iterable)
        return AtHand(found) if type(iterable) in (AtHand, *AT_HAND) else found

    return tasks


def join_exited_workers(stock: Any) -> Any:
    """Pool._join_exited_workers; what the exited ones had taken is seen to."""
    join = stock.__func__

    def join_exited(pool: list[Any]) -> Any:
        before = list(pool)
        cleaned = join(pool)
        for process in before:
            if process not in pool:
                _see_to(process)
        return cleaned

    return staticmethod(join_exited)


def help_stuff_finish(stock: Any) -> Any:
    """Pool._help_stuff_finish, which frees the thread that puts tasks."""
    help_finish = stock.__func__

    def help_ours(inqueue: Any, task_handler: Any, size: int) -> None:
        if isinstance(inqueue, TaskQueue):
            inqueue.let_through()
        else:
            help_finish(inqueue, task_handler, size)

    return staticmethod(help_ours)


def fail_all(error: Exception) -> None:
    """Let every result that is waited for raise `error`."""
    for pool in list(_pools):
        if isinstance(pool._inqueue, TaskQueue):
            pool._inqueue.let_through()
        for result in list(pool._cache.values()):
            _fail(result, error)


def _see_to(process: Any) -> None:
    tasks = of_taker(getattr(process._popen, "uid", ""))
    if tasks is None:
        return
    code = process.exitcode
    for name in tasks.ended(process._popen.uid, vanished=code == VANISHED):
        where = process._popen.worker
        error = WorkerLostError(
            f"{process.name} (pid {process.pid}{', on worker ' + where if where else ''}) ended with exit "
            f"code {code} while it ran this task, which may have had effects and was not run again; tasks "
            "that it had not begun are: submit it again if it may be run twice"
        )
        tasks.answer((*name, (False, error)))


def _name_of(item: Any) -> Any:
    """Of a task or a result."""
    return item and item[:2]


def _fail(result: Any, error: Exception) -> None:
    if hasattr(result, "_number_left"):
        # A map is done when all its chunks are.
        for _ in range(result._number_left):
            result._set(0, (False, error))
    else:
        # An iterator's next item, or the one result there is.
        result._set(getattr(result, "_index", 0), (False, error))


_pools: weakref.WeakSet[Any] = weakref.WeakSet()
