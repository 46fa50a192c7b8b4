"""Barriers: a list of those who have arrived; the one who completes it lets all of them pass.

    FILLING   fewer than all are there
    ACTING    all are there, and the last of them runs the action; who arrives now is of the next round
    BROKEN    by abort(), a time that was over, or an action that failed; until reset()

An arrival is one round trip, its wait included (`rendezvous`); with an action, two for who runs it.
The rounds need no draining: each waiter is told its place by the one who completes its round.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Callable

from transparent_mp.primitives import memory
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.rendezvous import Rendezvous, Waiter
from transparent_mp.store.link import Command
from transparent_mp.store.scripts import script
from transparent_mp.store.session import Session

_ACT, _BROKEN = b"act", b"broken"


class Barrier(Rendezvous, threading.Barrier):
    """The interface of multiprocessing.synchronize.Barrier."""

    _parties: int
    _action: Callable[[], Any] | None
    _timeout: float | None

    def __init__(
        self,
        parties: int,
        action: Callable[[], Any] | None = None,
        timeout: float | None = None,
        *,
        ctx: Any,
    ) -> None:
        # What it refuses, this refuses.
        threading.Barrier.__init__(self, parties, action, timeout)
        del self._state, self._count, self._cond  # type: ignore[attr-defined]
        self._is_fork_ctx = getattr(ctx.Lock(), "_is_fork_ctx", False)
        self._begin()
        self._acting: Waiter | None = None
        self._is_broken = False

    def __getstate__(self) -> tuple[Any, ...]:
        return self._parties, self._action, self._timeout, self._share()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._parties, self._action, self._timeout, handle = state
        self._is_fork_ctx = False
        self._rejoin(handle)

    def wait(self, timeout: float | None = None) -> int:
        waiter = Waiter()
        with self._coming(waiter):
            self._arrive(waiter)
            word = self._wait(waiter, self._timeout if timeout is None else timeout)
        if word == _ACT:
            return self._act(waiter)
        if word is None or word == _BROKEN:
            raise threading.BrokenBarrierError
        return int(word)

    def reset(self) -> None:
        self._end_waits(broken=False)

    def abort(self) -> None:
        self._end_waits(broken=True)

    @property
    def n_waiting(self) -> int:
        if self._hold is None:
            return min(len(self._waiting), self._parties)
        return min(int(sessions.current().store.ask("LLEN", self._waiting_key)), self._parties)

    @property
    def broken(self) -> bool:
        if self._hold is None:
            return self._is_broken
        return self._asked(("HGET", self._state_key, "broken")) is not None

    def _arrive(self, waiter: Waiter) -> None:
        if self._hold is None:
            with self._mutex:
                if self._hold is None:
                    waiter.here = True
                    if self._is_broken:
                        waiter.tell(_BROKEN)
                    else:
                        self._waiting.append(waiter)
                        self._advance()
                    return
        session = sessions.current()
        acts = "1" if self._action else ""
        args = (self._name(session, waiter), self._parties, acts, self._words, session.ttl)
        memory.cast(self._script("arrive", *args))

    def _act(self, waiter: Waiter) -> int:
        assert self._action is not None
        try:
            self._action()
        except BaseException:
            self.abort()
            raise
        if not self._open(waiter):
            raise threading.BrokenBarrierError
        return self._parties - 1

    def _open(self, waiter: Waiter) -> bool:
        """The action is done. False when the barrier was broken or reset meanwhile."""
        if self._hold is None:
            with self._mutex:
                if self._hold is None:
                    if self._acting is not waiter:
                        return False
                    self._acting = None
                    self._pass()
                    self._advance()
                    return True
        session = sessions.current()
        command = self._script("open_barrier", waiter.name, self._parties, self._words, session.ttl)
        return bool(memory.call(command)[-1])

    def _end_waits(self, broken: bool) -> None:
        if self._hold is None:
            with self._mutex:
                if self._hold is None:
                    self._fail(broken)
                    return
        session = sessions.current()
        command = self._script("end_waits", "broken" if broken else "", self._words, session.ttl)
        memory.cast(command)

    # The local state; each with the mutex held.

    def _advance(self) -> None:
        while self._acting is None and len(self._waiting) >= self._parties:
            if self._action:
                self._acting = self._waiting[self._parties - 1]
                self._acting.tell(_ACT)
            else:
                self._pass()

    def _pass(self) -> None:
        passing, self._waiting[: self._parties] = self._waiting[: self._parties], []
        for place, waiter in enumerate(passing):
            # Who has acted knows.
            if waiter.word is None:
                waiter.tell(b"%d" % place)

    def _fail(self, broken: bool) -> None:
        self._is_broken = broken
        self._acting = None
        for waiter in self._waiting:
            if waiter.word is None:
                waiter.tell(_BROKEN)
        self._waiting.clear()

    def _take_off(self, waiter: Waiter, interrupted: bool) -> bool:
        if self._acting is not None and waiter in self._waiting[: self._parties]:
            return False
        self._waiting.remove(waiter)
        if not interrupted:
            self._fail(broken=True)
        return True

    # What the store does by the scripts.

    def _give_up(self, waiter: Waiter, interrupted: bool) -> bytes | None:
        session = sessions.current()
        keys = (self._state_key, self._waiting_key, self._words + waiter.name)
        how = "" if interrupted else "broken"
        args = (waiter.name, self._parties, how, self._words, session.ttl)
        return self._asked(script("leave_barrier", keys, args))

    def _moving(self, session: Session) -> Sequence[Command]:
        state: list[str] = []
        if self._is_broken:
            state += ["broken", "1"]
        if self._acting is not None:
            state += ["acting", self._acting.name]
        if not state:
            return ()
        return ("HSET", self._state_key, *state), ("PEXPIRE", self._state_key, session.ttl)
