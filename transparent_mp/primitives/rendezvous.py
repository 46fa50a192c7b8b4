"""Waiting for a word from another thread or process: what condition, event and barrier stand on.

    LOCAL    those who wait are a list of this process, each with a gate of its own
    SHARED   they are a list of the store, and each listens on a list of its own (words): a blocking
             pop, one round trip. LOCAL -> SHARED takes along who waits; their threads go on in the
             store.

No word is lost: a waiter is entered, told or taken off by one script (or with the mutex held), and
its word stays where it will look until it has looked. Who gives up asks by a script, too, and takes
the word that came meanwhile.

Words are bytes. What they mean, and who is told when, the three classes know; CPython's versions
of them, several semaphores each, take three to eighteen round trips.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from multiprocessing import context, util

from transparent_mp.errors import StoreError
from transparent_mp.primitives import memory, sharing
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.synchronize import check_context
from transparent_mp.store.link import Arg, Command
from transparent_mp.store.scripts import script
from transparent_mp.store.session import Session

#: To a waiter's gate: its wait goes on in the store.
_MOVED = b"moved"

_numbers = itertools.count(1)


class Waiter:
    """One wait of one thread."""

    __slots__ = ("_gate", "here", "left", "name", "word")

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()
        #: Whether its wait began in this process's own list.
        self.here = False
        #: Whether it was taken off when it was interrupted.
        self.left = False
        #: What the store knows it by.
        self.name = ""
        self.word: bytes | None = None

    def tell(self, word: bytes) -> None:
        self.word = word
        self._gate.release()

    def listen(self, timeout: float | None) -> bool:
        """Wait for a word; False when the time is over."""
        if timeout is None:
            return self._gate.acquire()
        return self._gate.acquire(timeout=min(max(timeout, 0.0), threading.TIMEOUT_MAX))


class Rendezvous:
    """Local or shared, and who waits here. Subclasses give the words."""

    _hold: sharing.Hold | None

    def _begin(self) -> None:
        self._mutex = threading.Lock()
        #: Who waits in this process, while it is local.
        self._waiting: list[Waiter] = []
        self._hold = None
        util.register_after_fork(self, Rendezvous._renew)

    def _renew(self) -> None:
        # In the child of a fork; the threads that held it or waited are the parent's.
        self._mutex = threading.Lock()
        self._waiting = []

    def _become_shared(self, hold: sharing.Hold) -> None:
        keys = sessions.current().keys
        self._state_key = keys.object(hold.oid, "v")
        self._waiting_key = keys.object(hold.oid, "q0")
        self._words = keys.object_base(hold.oid) + "w:"
        self._hold = hold

    def _share(self) -> str:
        """Move to the store if it is not there yet; returns "OID TOKEN" for a pickle under way."""
        if context.get_spawning_popen() is None:
            # In the standard library all of these hold a Condition, which refuses first.
            raise RuntimeError(
                "Condition objects should only be shared between processes through inheritance"
            )
        check_context(self)
        session = sessions.current()
        with self._mutex:
            if self._hold is None:
                (hold,) = sharing.create(session)
                self._become_shared(hold)
                commands = [*self._entering(session, self._waiting), *self._moving(session)]
                if commands:
                    session.store.cast(*commands)
                for waiter in self._waiting:
                    if waiter.word is None:
                        waiter.tell(_MOVED)
                self._waiting.clear()
        assert self._hold is not None
        receiver = getattr(context.get_spawning_popen(), "uid", None)
        return f"{self._hold.oid} {sharing.hand_over(session, self._hold, receiver)}"

    def _rejoin(self, handle: str) -> None:
        """In the process that unpickles what _share() returned."""
        self._begin()
        oid, _, token = handle.partition(" ")
        self._become_shared(sharing.take(sessions.current(), oid, 0, token))

    def _moving(self, _session: Session) -> Sequence[Command]:
        """Commands that bring the local state, who waits apart, to the store."""
        return ()

    def _name(self, session: Session, waiter: Waiter) -> str:
        """Give it the name by which the store will know it: that of a holder, for as long as it lives."""
        if self._hold is not None and self._hold.holder != session.uid:
            # Came along with a fork.
            self._hold = sharing.adopt(session, self._hold)
        waiter.name = f"{session.uid}.{next(_numbers)}"
        return waiter.name

    def _entering(self, session: Session, waiters: Sequence[Waiter]) -> list[Command]:
        names = [self._name(session, waiter) for waiter in waiters]
        if not names:
            return []
        return [("RPUSH", self._waiting_key, *names), ("PEXPIRE", self._waiting_key, session.ttl)]

    def _script(self, name: str, *args: Arg) -> Command:
        return script(name, (self._state_key, self._waiting_key), args)

    def _wait(self, waiter: Waiter, timeout: float | None) -> bytes | None:
        """The word for one that has been entered; None when the time was over and it was taken off."""
        deadline = None if timeout is None else time.monotonic() + timeout
        if waiter.here:
            word = self._wait_here(waiter, timeout)
            if word is not _MOVED:
                return word
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                word = self._wait_there(waiter, left)
            except BaseException:
                self._give_up(waiter, interrupted=True)
                waiter.left = True
                raise
            if word is None:
                word = self._give_up(waiter, interrupted=False)
                if word == b"stay":
                    deadline = None
                    continue
            return word

    def _wait_here(self, waiter: Waiter, timeout: float | None) -> bytes | None:
        try:
            if waiter.listen(timeout):
                return waiter.word
        except BaseException:
            with self._mutex:
                moved = waiter.word is _MOVED
                if waiter.word is None:
                    self._take_off(waiter, interrupted=True)
            if moved:
                self._give_up(waiter, interrupted=True)
            waiter.left = True
            raise
        with self._mutex:
            if waiter.word is not None or self._take_off(waiter, interrupted=False):
                return waiter.word
        # A word is sure to come.
        waiter.listen(None)
        return waiter.word

    @contextlib.contextmanager
    def _coming(self, waiter: Waiter) -> Iterator[None]:
        """A block in which it is entered and waits: what a signal's handler raises leaves nobody behind."""
        try:
            yield
        except StoreError:
            raise
        except BaseException:
            if not waiter.left:
                self._call_off(waiter)
            raise

    def _call_off(self, waiter: Waiter) -> None:
        if self._hold is None:
            with self._mutex:
                if waiter.word is None and waiter in self._waiting:
                    self._take_off(waiter, interrupted=True)
        elif waiter.name:
            self._give_up(waiter, interrupted=True)

    def _wait_there(self, waiter: Waiter, timeout: float | None) -> bytes | None:
        replies = sessions.current().store.pop(self._words + waiter.name, timeout, memory.fetch())
        if replies is None:
            return None
        memory.merge(replies[1:])
        word: bytes = replies[0]
        return word

    def _take_off(self, waiter: Waiter, interrupted: bool) -> bool:
        """With the mutex held: `waiter`, which was not told, waits no more. False: it has to stay."""
        del interrupted
        self._waiting.remove(waiter)
        return True

    def _give_up(self, waiter: Waiter, interrupted: bool) -> bytes | None:
        """The same in the store: the word that came meanwhile, if one did; `stay` if it has to."""
        del interrupted
        return self._asked(
            script("stop_waiting", (self._waiting_key, self._words + waiter.name), (waiter.name,))
        )

    def _asked(self, command: Command) -> bytes | None:
        fetching = memory.fetch()
        word, *replies = sessions.current().store.call(command, *fetching)
        memory.merge(replies)
        found: bytes | None = word
        return found
