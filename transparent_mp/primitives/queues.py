"""Queues: CPython's own until shared, then one list of the store.

A pop of the store is atomic and a push waits for nobody, so a shared queue needs neither the locks
around its pipe nor a feeder thread: `put` is one unanswered push, `get` one pop. A bounded queue's
free places are a semaphore, as in CPython's.

Where the standard library's feeder is left behind by a slow reader, so is ours: items beyond a window
(`flow`), or put before the queue was shared, wait in the memory of who put them, for CPython's own feeder
thread, which is joined at the process's end and cancelled as ever. A process goes on through its feeder
until that is idle, so that the order of its items stays.

Unlike the standard library, an item that need not wait is pickled by `put` itself, and so as it is then,
not a little later; what cannot be pickled still goes to the hook for feeder errors.
"""

from __future__ import annotations

import threading
import time
from multiprocessing import context, queues
from queue import Empty, Full
from typing import Any, Callable

from transparent_mp.errors import StoreError, StoreReplyError
from transparent_mp.primitives import memory, pickling
from transparent_mp.primitives.synchronize import MOST_TOKENS, SEM_VALUE_MAX, check_context
from transparent_mp.store.link import by_handler

# typeshed knows the public names only; ours stand on the others.
stock: Any = queues
# The module's own names will be ours.
_StockQueue: Any = stock.Queue
_StockJoinableQueue: Any = stock.JoinableQueue


class NoLock:
    """Stands where CPython's queues have a lock that a shared queue does not need."""

    def __init__(self, instead: Any) -> None:
        # Of a context, as the lock was: a queue of a fork context does not go to spawned processes.
        self._is_fork_ctx = getattr(instead, "_is_fork_ctx", False)

    def acquire(self, _block: bool = True, _timeout: float | None = None) -> bool:
        return True

    def release(self) -> None:
        """Nothing to give back."""

    def __enter__(self) -> bool:
        return True

    def __exit__(self, *_exc: object) -> None:
        """Nothing to give back."""


class Feeding:
    """Sends for CPython's feeder thread; ends it when the store is lost, once that was reported."""

    __slots__ = ("_lost", "_send")

    def __init__(self, send: Callable[[Any], None]) -> None:
        self._send = send
        self._lost = False

    def __call__(self, item: Any) -> None:
        try:
            self._send(item)
        except StoreReplyError:
            raise
        except StoreError:
            if self._lost:
                # Ends a thread without a word, where every item that waits would print a traceback.
                raise SystemExit from None
            self._lost = True
            raise
        self._lost = False


class SimpleQueue(stock.SimpleQueue):  # type: ignore[misc]
    """A queue without bound, feeder or time-outs."""

    _rlock: Any

    def __getstate__(self) -> tuple[Any, ...]:
        context.assert_spawning(self)
        check_context(self._rlock)
        self._rlock = self._wlock = NoLock(self._rlock)
        return self._reader, self._writer, self._rlock, self._wlock

    def get(self) -> Any:
        return self._reader.recv() if type(self._rlock) is NoLock else super().get()

    def put(self, obj: Any) -> None:
        if type(self._wlock) is NoLock:
            self._writer.send(obj)
        else:
            super().put(obj)


class Queue(_StockQueue):  # type: ignore[misc]
    """A queue with an optional bound."""

    _shared = False
    _rlock: Any
    _sem: Any
    _send_bytes: Any

    def __getstate__(self) -> tuple[Any, ...]:
        context.assert_spawning(self)
        check_context(self._rlock)
        self._rlock = self._wlock = NoLock(self._rlock)
        # A semaphore of that greatest value counts nothing.
        sem = self._sem if _bounded(self) else None
        self._shared = True
        pipe = self._reader, self._writer, self._rlock, self._wlock
        return (self._ignore_epipe, self._maxsize, *pipe, sem, self._opid)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _StockQueue.__setstate__(self, state)
        self._shared = True
        if self._sem is None:
            self._sem = NoLock(self._rlock)

    def _reset(self, after_fork: bool = False) -> None:
        _StockQueue._reset(self, after_fork)
        self._send_bytes = Feeding(self._send_bytes)

    def put(self, obj: Any, block: bool = True, timeout: float | None = None) -> None:
        if not self._shared or not self._direct():
            _StockQueue.put(self, obj, block, timeout)
            return
        self._check_open()
        if _bounded(self) and not self._sem.acquire(block, timeout):
            raise Full
        given: list[bool] = []
        try:
            self._send(obj, given)
        except BaseException:
            if not given:
                self._give_up_place()
            raise

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if not self._shared:
            return self._get_local(block, timeout)
        self._check_open()
        if not block:
            timeout = 0.0
        taken: list[bool] = []
        given: list[bool] = []
        try:
            self._reader.stream()
            content = self._reader.take(timeout, taken)
            if content is None:
                raise Empty
            if _bounded(self):
                # The place was taken by whoever put this, so there is nothing to ask.
                self._sem._semlock.give(given)
        except BaseException:
            # A signal handler's: the item may be lost, its place is not.
            if taken and not given and _bounded(self):
                self._sem._semlock.give()
            raise
        return self._unpickled(content)

    def qsize(self) -> int:
        # A shared semaphore does not count as far as a bound may go.
        if self._shared and not (_bounded(self) and self._maxsize <= MOST_TOKENS):
            # What waits in other processes is not known.
            return int(self._reader.length()) + len(self._buffer)
        return int(_StockQueue.qsize(self))

    def full(self) -> bool:
        return _bounded(self) and bool(_StockQueue.full(self))

    def close(self) -> None:
        if self._shared and self._thread is None and not self._closed:
            self._reader.close()
            self._writer.close()
        _StockQueue.close(self)

    def _get_local(self, block: bool, timeout: float | None) -> Any:
        # As CPython's, but that the queue may be shared while this waits, by which it loses its lock
        # and, when it has no bound, the count of its places.
        self._check_open()
        if not block:
            timeout = 0.0
        deadline = None if timeout is None else time.monotonic() + timeout
        lock = self._rlock
        if not lock.acquire(block, timeout):
            raise Empty
        try:
            if deadline is not None and not self._poll(max(0.0, deadline - time.monotonic())):
                raise Empty
            content = self._recv_bytes()
        finally:
            lock.release()
        if _bounded(self) or not self._shared:
            self._sem.release()
        return self._unpickled(content)

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"Queue {self!r} is closed")

    def _direct(self) -> bool:
        """Whether an item may go to the store at once."""
        return self._fed() and self._writer.has_room()

    def _fed(self) -> bool:
        """Whether nothing of this process is still on its way through a feeder thread."""
        if self._thread is None:
            return True
        with self._notempty:
            # The feeder waits on the condition exactly when it has sent everything.
            return not self._buffer and bool(self._notempty._waiters)

    def _pickled(self, obj: Any) -> Any:
        return pickling.dumps(obj)

    def _unpickled(self, content: Any) -> Any:
        return pickling.loads(content)

    def _give_up_place(self) -> None:
        """What was to be put was not, since a signal's handler has raised something."""
        if _bounded(self):
            self._sem.release()

    def _send(self, obj: Any, given: list[bool]) -> None:
        try:
            self._writer.post(self._pickled(obj), given)
        except Exception as error:
            if by_handler(error):
                raise
            # Whatever a program's __reduce__ raises.
            if self._ignore_epipe and isinstance(error, BrokenPipeError):
                return
            if _bounded(self):
                self._sem.release()
            self._on_queue_feeder_error(error, obj)
            # Whoever keeps the error would keep the frames of all who called put, which no feeder has.
            error.__traceback__ = None


class Unfinished:
    """What this process has taken and not said to be done. Thread-safe.

    As long as there is something, one more that is done is a token less, and its answer is known.
    """

    __slots__ = ("_lock", "_refused", "_taken")

    def __init__(self) -> None:
        # Re-entrant: a signal handler may take something.
        self._lock = threading.RLock()
        self._taken = 0
        self._refused: Exception | None = None

    def take(self) -> None:
        with self._lock:
            self._taken += 1

    def finish(self) -> bool:
        """Whether there was something."""
        with self._lock:
            known = self._taken > 0
            self._taken -= known
            return known

    def answered(self, reply: Any) -> None:
        """The store's answer, which was not waited for."""
        if isinstance(reply, Exception):
            self._refused = reply
        elif not reply:
            self._refused = ValueError(_TOO_MANY)

    def check(self) -> None:
        """Raise what such an answer has said."""
        refused, self._refused = self._refused, None
        if refused is not None:
            raise refused


_TOO_MANY = "task_done() called too many times"


class JoinableQueue(Queue, _StockJoinableQueue):  # type: ignore[misc]
    """A queue that counts what is unfinished.

    Unlike the standard library, where another process has said too often that it is done, this one's
    ValueError comes with a later operation.
    """

    _unfinished: Unfinished

    def __getstate__(self) -> tuple[Any, ...]:
        return (*Queue.__getstate__(self), self._cond, self._unfinished_tasks)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        Queue.__setstate__(self, state[:-2])
        self._cond, self._unfinished_tasks = state[-2:]

    def put(self, obj: Any, block: bool = True, timeout: float | None = None) -> None:
        if not self._shared or not self._direct():
            _StockJoinableQueue.put(self, obj, block, timeout)
            return
        self._check_open()
        if _bounded(self) and not self._sem.acquire(block, timeout):
            raise Full
        # Whoever takes the item finds it counted.
        self._unfinished_tasks.release()
        given: list[bool] = []
        try:
            self._send(obj, given)
        except BaseException:
            if not given:
                self._unfinished_tasks.acquire(False)
                self._give_up_place()
            raise

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        self._unfinished.check()
        item = Queue.get(self, block, timeout)
        self._unfinished.take()
        return item

    def task_done(self) -> None:
        if not self._shared:
            _StockJoinableQueue.task_done(self)
            self._unfinished.finish()
            return
        unfinished = self._unfinished
        unfinished.check()
        command = self._cond.when_last(self._unfinished_tasks._semlock.tokens)
        if unfinished.finish():
            memory.cast(command, on_reply=unfinished.answered)
        elif not memory.call(command)[-1]:
            raise ValueError(_TOO_MANY)

    def join(self) -> None:
        self._cond.wait_unless(self._unfinished_tasks._semlock._is_zero)

    def _reset(self, after_fork: bool = False) -> None:
        Queue._reset(self, after_fork)
        # In the child of a fork: what was taken was the parent's.
        self._unfinished = Unfinished()


def _bounded(queue: Any) -> bool:
    return int(queue._maxsize) < SEM_VALUE_MAX
