"""What differs in concurrent.futures.process: CPython's executor runs over tasks and results of a pool.

Its queue of calls is bounded, so that what lies there may still be cancelled: a call goes there when a
process could take it soon. As many are let out here, counted by the results that have not come, where
a semaphore in the store would cost a round trip for each.

Results come as many at once as are there; the thread that manages the executor looks at what came
before it waits for more. A process that dies breaks the executor, as everywhere.
"""

from __future__ import annotations

import functools
from typing import Any, Callable

from transparent_mp.primitives import queues
from transparent_mp.primitives.results import ResultQueue
from transparent_mp.primitives.taking import Results
from transparent_mp.primitives.tasks import TaskQueue


def init(stock: Callable[..., None]) -> Callable[..., None]:
    """ProcessPoolExecutor.__init__, which makes its queues."""

    @functools.wraps(stock)
    def init_ours(self: Any, *args: Any, **kwargs: Any) -> None:
        stock(self, *args, **kwargs)
        # Who brings a context of their own may bring queues of their own.
        if isinstance(self._result_queue, queues.SimpleQueue):
            self._call_queue = CallQueue(self._call_queue)
            self._result_queue = CallResults(self._call_queue)

    return init_ours


def wait_result(stock: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """_ExecutorManagerThread.wait_result_broken_or_wakeup, which waits for a result or for trouble."""

    def wait_ours(self: Any) -> Any:
        results = self.result_queue
        if isinstance(results, CallResults):
            if results.at_hand:
                return results.get(), False, None
            self.call_queue.tasks.flush()
        return stock(self)

    return wait_ours


class CallQueue:
    """Stands where an executor has its queue of calls."""

    def __init__(self, instead: Any) -> None:
        self.tasks = TaskQueue(_name_of, holds_back=False)
        self._stock = instead
        self._most = instead._maxsize
        self._reader = self.tasks.theirs
        self._writer = self.tasks.ours

    def __reduce__(self) -> tuple[Any, ...]:
        return self.tasks.__reduce__()

    def put(self, item: Any, **_: Any) -> None:
        """Who puts has asked whether it is full."""
        try:
            self.tasks.put(item)
        except Exception as error:  # noqa: BLE001  whatever a program's __reduce__ raises
            self.tasks.has_result(_name_of(item))
            # The feeder thread's: the call's future gets the error.
            self._stock._on_queue_feeder_error(error, item)

    def put_nowait(self, item: Any) -> None:
        self.put(item)
        self.tasks.flush()

    def full(self) -> bool:
        """Whether a process has to end a call before another one could be begun soon."""
        return self.tasks.unfinished() >= int(self._most) + self.tasks.takers()

    def close(self) -> None:
        """Nothing more is put."""

    def join_thread(self) -> None:
        """There is no thread."""

    cancel_join_thread = join_thread

    def _terminate_broken(self) -> None:
        self._reader.close()


class CallResults(ResultQueue):
    """Stands where an executor has its queue of results; is its own reading end, with an fd."""

    def __init__(self, calls: CallQueue) -> None:
        super().__init__(calls.tasks, _name_of)
        self._calls = calls
        self._reader = self

    def __reduce__(self) -> tuple[Any, ...]:
        # The very object that stands for the calls: a process has one of it.
        return Results, (self._calls,)

    def fileno(self) -> int:
        return int(self.tasks.ours.fileno())

    def recv(self) -> Any:
        """The result that the fd tells of; None when it told too much."""
        came = self._fetch()
        watch = self.tasks.ours._shared.watch
        if watch is not None:
            watch.taken()
        return self.get() if came else None

    def close(self) -> None:
        """What is held ends with the last reference."""


def _name_of(item: Any) -> Any:
    """Of a call or a result; what tells of a process's end has none."""
    return getattr(item, "work_id", None)
