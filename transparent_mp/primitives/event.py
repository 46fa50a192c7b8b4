"""Events: one bit, and who waits for it.

Set and clear are sent and not waited for; is_set and wait take one round trip (`rendezvous`).

Unlike the standard library, a wait that was ended by set() returns True although the event was
cleared again by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transparent_mp.primitives import memory
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.rendezvous import Rendezvous, Waiter
from transparent_mp.store.link import Command
from transparent_mp.store.session import Session

_SET = b"set"


class Event(Rendezvous):
    """The interface of multiprocessing.synchronize.Event."""

    def __init__(self, *, ctx: Any) -> None:
        self._is_fork_ctx = getattr(ctx.Lock(), "_is_fork_ctx", False)
        self._begin()
        self._flag = False

    def __getstate__(self) -> str:
        return self._share()

    def __setstate__(self, handle: str) -> None:
        self._is_fork_ctx = False
        self._rejoin(handle)

    def __repr__(self) -> str:
        status = "set" if self.is_set() else "unset"
        return f"<{type(self).__qualname__} at {id(self):#x} {status}>"

    def is_set(self) -> bool:
        if self._hold is None:
            return self._flag
        return self._asked(("HGET", self._state_key, "set")) is not None

    def set(self) -> None:
        if self._hold is None:
            with self._mutex:
                if self._hold is None:
                    self._flag = True
                    while self._waiting:
                        self._waiting.pop().tell(_SET)
                    return
        session = sessions.current()
        memory.cast(self._script("set_event", self._words, session.ttl))

    def clear(self) -> None:
        if self._hold is None:
            with self._mutex:
                if self._hold is None:
                    self._flag = False
                    return
        memory.cast(("HDEL", self._state_key, "set"))

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is not None and timeout <= 0:
            return self.is_set()
        waiter = Waiter()
        with self._coming(waiter):
            return not self._enter(waiter) or self._wait(waiter, timeout) is not None

    def _enter(self, waiter: Waiter) -> bool:
        """False when it need not wait."""
        if self._hold is None:
            with self._mutex:
                if self._hold is None:
                    if self._flag:
                        return False
                    waiter.here = True
                    self._waiting.append(waiter)
                    return True
        session = sessions.current()
        name = self._name(session, waiter)
        session.store.cast(self._script("wait_event", name, self._words, session.ttl))
        return True

    def _moving(self, session: Session) -> Sequence[Command]:
        if not self._flag:
            return ()
        return ("HSET", self._state_key, "set", 1), ("PEXPIRE", self._state_key, session.ttl)
