"""What differs in concurrent.futures.process: CPython's executor runs over tasks and results of a pool.

Its queue of calls is bounded, so that what does not lie there may still be cancelled: a call goes there
when a process could take it soon. As many are let out here, counted by the results that have not come,
where a semaphore in the store would cost a round trip for each. While calls are short more are let out,
as many as together last for LASTS.

Results come as many at once as are there, by a pop on whose fd the thread that manages the executor waits;
it looks at what came before it waits for more. A process that dies breaks the executor, as everywhere.
"""

from __future__ import annotations

import functools
import select
import time
import traceback
from typing import Any, Callable

from transparent_mp.primitives import memory, queues
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.outstanding import Incoming, Outstanding
from transparent_mp.primitives.results import ResultQueue
from transparent_mp.primitives.taking import Results
from transparent_mp.primitives.tasks import TaskQueue
from transparent_mp.primitives.watching import ANSWER

#: Seconds from putting a call to its result within which more are let out. Larger: more that cannot be
#: cancelled once a long one comes; smaller: processes wait for the thread that lets calls out.
LASTS = 0.01
#: Calls for each process let out at most.
MOST = 64


def init(stock: Callable[..., None]) -> Callable[..., None]:
    """ProcessPoolExecutor.__init__, which makes its queues."""

    @functools.wraps(stock)
    def init_ours(self: Any, *args: Any, **kwargs: Any) -> None:
        stock(self, *args, **kwargs)
        # Who brings a context of their own may bring queues of their own.
        if isinstance(self._result_queue, queues.SimpleQueue):
            self._processes = Processes()
            self._call_queue = CallQueue(self._call_queue)
            self._result_queue = CallResults(self._call_queue)

    return init_ours


class Processes(dict[int, Any]):
    """An executor's. Its thread goes through them while another may start one, which lasts."""

    def values(self) -> Any:
        return list(super().values())


def wait_result(stock: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """_ExecutorManagerThread.wait_result_broken_or_wakeup, which waits for a result or for trouble."""

    def wait_ours(self: Any) -> Any:
        results = self.result_queue
        if isinstance(results, CallResults):
            if results.at_hand:
                return results.get(), False, None
            self.call_queue.tasks.flush()
            if results.alone_tells(self.thread_wakeup, self.processes):
                try:
                    return results.recv(), False, None
                except BaseException as error:  # noqa: BLE001  as the stock's
                    return None, True, traceback.format_exception(type(error), error, error.__traceback__)
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
        #: How many more than plain Python would let out.
        self._more = 0
        # Whether calls are let out until so many are: not one for each result, but many for many.
        self._filling = True
        # The call whose result is waited for to see how long that takes, since when.
        self._timed: Any = None
        self._since = 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        return self.tasks.__reduce__()

    def put(self, item: Any, **_: Any) -> None:
        """Who puts has asked whether it is full."""
        self._time(_name_of(item))
        try:
            self.tasks.put(item)
        except Exception as error:  # noqa: BLE001  whatever a program's __reduce__ raises
            self.tasks.has_result(_name_of(item))
            # The feeder thread's: the call's future gets the error.
            self._stock._on_queue_feeder_error(error, item)

    def put_own(self, name: Any, prepared: Any) -> None:
        """Put a call that was prepared, of which no other is out."""
        self._time(name)
        self.tasks.put_own(prepared)

    def _time(self, name: Any) -> None:
        if self._timed is None:
            self._timed, self._since = name, time.monotonic()

    def put_nowait(self, item: Any) -> None:
        self.put(item)
        self.tasks.flush()

    def full(self) -> bool:
        """Whether a process has to end a call before another one could be begun soon."""
        out, enough = self.tasks.unfinished(), int(self._most) + self.tasks.takers()
        if out < enough or self._more == 0:
            return out >= enough
        if self._timed is not None and time.monotonic() - self._since > LASTS:
            self._more = 0
        most = enough + self._more
        self._filling = out < (most if self._filling else most // 2)
        return not self._filling

    def came(self, name: Any) -> None:
        """A result has come."""
        if name is None or name != self._timed:
            return
        self._timed = None
        lasted = time.monotonic() - self._since
        if lasted < LASTS / 2:
            self._more = min(MOST * self.tasks.takers(), 2 * self._more + int(self._most))
        elif lasted > LASTS:
            self._more //= 2

    def close(self) -> None:
        """Nothing more is put."""

    def join_thread(self) -> None:
        """There is no thread."""

    cancel_join_thread = join_thread

    def _terminate_broken(self) -> None:
        self._reader.close()


class CallResults(ResultQueue, Incoming):
    """Stands where an executor has its queue of results; is its own reading end, with an fd.

    A pop is outstanding on that, which brings the result itself: nobody else reads them.
    """

    def __init__(self, calls: CallQueue) -> None:
        super().__init__(calls.tasks, _name_of)
        self._calls = calls
        self._pop: Outstanding | None = None
        # What it was waited for with, and for which fds.
        self._polled: tuple[tuple[int, ...], select.poll] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # The very object that stands for the calls: a process has one of it.
        return Results, (self._calls,)

    def __del__(self) -> None:
        # The interpreter's end empties modules.
        if getattr(sessions, "attached", None) and self._pop is not None:
            self._pop.close()

    def get(self) -> Any:
        result = super().get()
        self._calls.came(_name_of(result))
        return result

    @property
    def _reader(self) -> CallResults:
        # No attribute: the descriptors would stay open until the collector comes.
        return self

    def fileno(self) -> int:
        if self._pop is None:
            self._pop = Outstanding(sessions.current().store, self.tasks.ours._shared.inbound)
        return self._pop.fileno(self._others())

    def alone_tells(self, wakeup: Any, processes: dict[int, Any]) -> bool:
        """Wait for a result, a word or the end of a process; whether it is a result, and nothing else.

        The stock's way makes a selector of all of them for each result.
        """
        fd, alarm = self.fileno(), sessions.current().store.alarm()
        # Of a process that is known the fd that tells of its end stays.
        known = fd, alarm, *processes
        if self._polled is None or self._polled[0] != known:
            poll = select.poll()
            for one in (fd, wakeup._reader.fileno(), *(each.sentinel for each in list(processes.values()))):
                poll.register(one, select.POLLIN)
            if alarm >= 0:
                poll.register(alarm, select.POLLIN)
            self._polled = known, poll
        assert self._pop is not None
        ready = {one for one, _ in self._pop.wait(self._polled[1])}
        if fd not in ready and ready - {wakeup._reader.fileno(), alarm}:
            return self._lies_there()
        return ready == {fd}

    def _lies_there(self) -> bool:
        """A process has ended: whether a result is there nevertheless, which the fd tells of then.

        Its end may have been known before the pop was sent that brings what it has sent.
        """
        assert self._pop is not None
        session, key = sessions.current(), self.tasks.ours._shared.inbound
        while True:
            # In this order: what has left the list meanwhile has come to where it is popped to.
            length, popped = session.store.aside(("LLEN", key), self._pop.length)
            if not length and not self._pop.came(popped):
                return False
            if not self._pop.silent(ANSWER):
                return True

    def recv(self) -> Any:
        """The result that the fd tells of; None when it told too much."""
        found = [] if self._pop is None else self._pop.take()
        if not found:
            return None
        message, *more = found
        self._here.append(message)
        for others in more:
            self._here.extend(others or ())
        # What follows this process was not known when the pop was sent.
        fetch = memory.fetch()
        memory.merge(sessions.current().store.call(*fetch) if fetch else ())
        return self.get()

    def close(self) -> None:
        """What is held ends with the last reference."""


def _name_of(item: Any) -> Any:
    """Of a call or a result; what tells of a process's end has none."""
    return getattr(item, "work_id", None)
