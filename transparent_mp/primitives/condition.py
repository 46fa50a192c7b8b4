"""Conditions: who waits, in order, under a lock that is the program's or its own.

A notify is sent and not waited for; a wait takes one round trip for the word and one for the lock
(`rendezvous`). What a notifier wrote is published when it lets go of the lock, which the woken
waiter takes.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Callable

from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.rendezvous import Rendezvous, Waiter
from transparent_mp.store.link import Command
from transparent_mp.store.scripts import script

_WOKEN = b"woken"


class Condition(Rendezvous):
    """The interface of multiprocessing.synchronize.Condition."""

    def __init__(self, lock: Any = None, *, ctx: Any) -> None:
        self._lock = lock or ctx.RLock()
        self._is_fork_ctx = getattr(self._lock, "_is_fork_ctx", False)
        self._begin()
        self._make_methods()

    def __getstate__(self) -> tuple[Any, str]:
        handle = self._share()
        return self._lock, handle

    def __setstate__(self, state: tuple[Any, str]) -> None:
        self._lock, handle = state
        self._is_fork_ctx = False
        self._rejoin(handle)
        self._make_methods()

    def __enter__(self) -> Any:
        return self._lock.__enter__()

    def __exit__(self, *args: object) -> Any:
        return self._lock.__exit__(*args)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._lock}, {self._sleeping_count.get_value()})>"

    def wait(self, timeout: float | None = None) -> bool:
        semlock = self._lock._semlock
        assert semlock._is_mine(), "must acquire() condition before using wait()"
        waiter = Waiter()
        count, released = semlock._count(), 0
        try:
            with self._coming(waiter):
                self._enter(waiter)
                for _ in range(count):
                    self._lock.release()
                    released += 1
                return self._wait(waiter, timeout) is not None
        finally:
            for _ in range(released):
                self._lock.acquire()

    def notify(self, n: int = 1) -> None:
        assert self._lock._semlock._is_mine(), "lock is not owned"
        if self._hold is None:
            with self._mutex:
                if self._hold is None:
                    woken, self._waiting[:n] = self._waiting[:n], []
                    for waiter in woken:
                        waiter.tell(_WOKEN)
                    return
        session = sessions.current()
        holders = session.keys.object(self._hold.oid, "h0")
        session.store.cast(script("wake", (self._waiting_key, holders), (n, self._words, session.ttl)))

    def notify_all(self) -> None:
        self.notify(sys.maxsize)

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        result = predicate()
        deadline = None if timeout is None else time.monotonic() + timeout
        while not result:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
            result = predicate()
        return result

    def wait_unless(self, over: Callable[[], bool]) -> None:
        """Wait without the lock; return at once if it is `over`, which is asked when this one is entered.

        So who makes it so and wakes all does not need the lock either.
        """
        waiter = Waiter()
        self._enter(waiter)
        try:
            is_over = over()
        except BaseException:
            self._leave(waiter)
            raise
        if is_over:
            self._leave(waiter)
        else:
            self._wait(waiter, None)

    def when_last(self, tokens: str) -> Command:
        """The command that takes one of the tokens in that list, and wakes all if it was the last."""
        assert self._hold is not None
        session = sessions.current()
        holders = session.keys.object(self._hold.oid, "h0")
        return script("task_done", (tokens, self._waiting_key, holders), (self._words, session.ttl))

    def _leave(self, waiter: Waiter) -> None:
        if waiter.here:
            self._wait(waiter, 0.0)
        else:
            self._give_up(waiter, interrupted=False)

    @property
    def _sleeping_count(self) -> _Count:
        """Who waits. CPython's conditions count sleepers, woken and wake-ups apart, and its tests look."""
        if self._hold is None:
            return _Count(len(self._waiting))
        return _Count(int(sessions.current().store.ask("LLEN", self._waiting_key)))

    @property
    def _woken_count(self) -> _Count:
        return _Count(0)

    _wait_semaphore = _woken_count

    def _make_methods(self) -> None:
        self.acquire = self._lock.acquire
        self.release = self._lock.release

    def _enter(self, waiter: Waiter) -> None:
        if self._hold is None:
            with self._mutex:
                if self._hold is None:
                    waiter.here = True
                    self._waiting.append(waiter)
                    return
        session = sessions.current()
        session.store.cast(*self._entering(session, [waiter]))


class _Count:
    """What a semaphore of CPython's condition would show."""

    def __init__(self, value: int) -> None:
        self._value = value

    def get_value(self) -> int:
        return self._value
