"""ProcessPoolExecutor.submit: who submits a call puts it by himself while no other has no result.

CPython wakes the thread that manages the executor, which puts it. To wake a thread costs as much as a round
trip, and that one would be in the way of who asks for the result next, which both need the interpreter.

    alone        no other call is pending: the caller takes it from the queue from which the thread would
    the thread   puts all others, those with large arguments, and those that cannot be pickled, whose error
                 is their result; it is woken, too, when it has a new process to look after

A process that is started for a call while the executor breaks, which the thread finds out meanwhile, would
be joined and never told to end, in plain Python too, where a start is a moment. Here it is ended.

It does not know how calls travel (`executor`), and results are all the thread's.
"""

from __future__ import annotations

import contextlib
import functools
import queue
import sys
import threading
from collections.abc import Iterable
from typing import Any, Callable

from transparent_mp.primitives.executor import CallQueue

#: Bytes of an argument from which on the thread puts the call: who submits it may be an event loop. Larger:
#: it stands still for longer; smaller: a thread is woken for more calls.
LARGE = 64 * 1024


class Wakeup:
    """What wakes an executor's thread."""

    #: The thread that sees to that itself, if need be.
    quiet = 0

    def wakeup(self) -> None:
        if self.quiet != threading.get_ident():
            super().wakeup()  # type: ignore[misc]


def submit(stock: Callable[..., Any]) -> Callable[..., Any]:
    """ProcessPoolExecutor.submit."""
    call_item = stock.__globals__["_CallItem"]
    quiet = type("Wakeup", (Wakeup, stock.__globals__["_ThreadWakeup"]), {})

    @functools.wraps(stock)
    def submit_ours(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        before = len(self._processes or ())
        try:
            return submit_soon(self, fn, *args, **kwargs)
        finally:
            if self._broken and len(self._processes or ()) > before:
                _end_newcomers(self)

    def submit_soon(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        calls, wakeup = self._call_queue, self._executor_manager_thread_wakeup
        if (
            not isinstance(calls, CallQueue)
            or self._pending_work_items
            or self._executor_manager_thread is None
            or _any_large(args)
            or _any_large(kwargs.values())
        ):
            return stock(self, fn, *args, **kwargs)
        if not isinstance(wakeup, Wakeup):
            wakeup.__class__ = quiet
        processes = len(self._processes)
        is_put = False
        wakeup.quiet = threading.get_ident()
        try:
            future = stock(self, fn, *args, **kwargs)
            wakeup.quiet = 0
            is_put = len(self._processes) == processes and _put(self, calls, call_item)
        finally:
            wakeup.quiet = 0
            if not is_put:
                with self._shutdown_lock:
                    wakeup.wakeup()
        return future

    return submit_ours


def _put(executor: Any, calls: CallQueue, call_item: Any) -> bool:
    """As its thread would; False: that has something to do."""
    pending = executor._pending_work_items
    if len(pending) != 1:
        return False
    try:
        number = executor._work_ids.get_nowait()
    except queue.Empty:
        # The thread came by for another reason.
        return True
    try:
        item = pending[number]
        prepared = calls.tasks.prepared(call_item(number, item.fn, item.args, item.kwargs))
    except BaseException as error:
        executor._work_ids.put(number)
        if not isinstance(error, Exception):
            raise
        # The thread meets it again, and makes it the result.
        return False
    try:
        if item.future.set_running_or_notify_cancel():
            calls.put_own(number, prepared)
        else:
            pending.pop(number, None)
    except BaseException as error:
        calls.tasks.has_result(number)
        if pending.pop(number, None) is None:
            # Broken meanwhile: it has its error.
            return True
        if not isinstance(error, Exception):
            raise
        item.future.set_exception(error)
    return True


def _end_newcomers(executor: Any) -> None:
    for process in list(executor._processes.values()):
        # A store that is gone ends them as well.
        with contextlib.suppress(OSError):
            process.terminate()


def _any_large(arguments: Iterable[Any]) -> bool:
    array = getattr(sys.modules.get("numpy"), "ndarray", None)
    for one in arguments:
        kind = one.__class__
        if kind is bytes or kind is str or kind is bytearray:
            if len(one) >= LARGE:
                return True
        elif kind is array and one.nbytes >= LARGE:
            return True
    return False
