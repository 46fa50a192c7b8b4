"""Shared memory is release-consistent: what a process wrote before a release is seen after the acquire.

    release   publish() gives commands that go before the releasing one, in the same write
    acquire   fetch() gives commands that go behind the acquiring one, so they run after it was
              served; merge() applies their replies
    both      synchronise(), for places where there is no other command to ride on

Every process works on a replica at memory speed. A publication carries exactly the bytes that
changed since the last one, so writers of different bytes never lose each other's writes; of two
writers of one byte without a lock between them, the later publication wins. A fetch costs a few
bytes for a segment that nobody else changed. docs/memory-model.md says what a program may rely on.

For programs that poll memory without synchronising, a thread exchanges every few milliseconds
while a segment is attached.

Whoever is given commands by publish() sends them before the thread asks for more, or calls lost().
Today every release publishes and every acquire fetches all segments of the process; a primitive
that knows which segments it protects (a Value's own lock) may later name them.
"""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections.abc import Iterable, Sequence
from multiprocessing import util
from typing import Callable

from transparent_mp.primitives import session as sessions
from transparent_mp.primitives import sharing
from transparent_mp.primitives.exchange import Exchange
from transparent_mp.primitives.replica import Memory, Replica
from transparent_mp.store.link import Command, Reply
from transparent_mp.store.session import Session

#: After everything that may still publish; the session ends later still.
STOP_PRIORITY = -900


class Engine:
    """All replicas of one process. Thread-safe."""

    def __init__(self, session: Session | None = None) -> None:
        """`session`: None for the process's own, which is looked up when it is needed."""
        self._session = session
        self._lock = threading.RLock()
        #: Weak references to the replicas; empty when nothing is shared.
        self.attached: tuple[weakref.ref[Replica], ...] = ()
        self._by_oid: weakref.WeakValueDictionary[str, Replica] = weakref.WeakValueDictionary()
        self._numbers = itertools.count(1)
        self._inherited = False
        self._exchange: Exchange | None = None
        #: How often this process has published and merged: what the exchange looks at.
        self.published = 0
        self.merged = 0
        #: What else is done before a release.
        self.releases: list[Callable[[], None]] = []

    def share(self, memory: Memory) -> Replica:
        """Make local memory a segment with the contents it has."""
        session = self._current()
        (hold,) = sharing.create(session)
        replica = self._replica(hold, memory)
        with self._lock:
            # One command at a time: the contents may be larger than what is free beside them.
            for command in replica.publication(session, threading.get_ident(), whole=True):
                session.store.cast(command)
            self._attach(replica)
        return replica

    def replicate(self, oid: str, memory: Memory, token: str = "") -> Replica:
        """Attach zeroed local memory to a segment and load what that holds now."""
        session = self._current()
        replica = self._replica(sharing.take(session, oid, 0, token), memory)
        # An earlier replica of this process may have written what this one has not seen.
        with self._lock:
            self._go_on(replica, 0)
            self._attach(replica)
        return replica

    def publish(self) -> Sequence[Command]:
        if not self.attached:
            return ()
        commands: list[Command] = []
        thread = threading.get_ident()
        with self._lock:
            session = self._adopt()
            self.published += 1
            for replica in self._replicas():
                commands += replica.publication(session, thread)
        return commands

    def fetch(self) -> Sequence[Command]:
        if not self.attached:
            return ()
        with self._lock:
            session = self._adopt()
            return [replica.fetching(session) for replica in self._replicas()]

    def merge(self, replies: Iterable[Reply]) -> None:
        with self._lock:
            self.merged += 1
            for reply in replies:
                # A segment may have been detached meanwhile.
                replica = self._by_oid.get(reply[0].decode())
                if replica is not None:
                    self._go_on(replica, replica.merge(reply))

    def synchronise(self) -> None:
        if not self.attached:
            return
        publication, fetching = self.publish(), self.fetch()
        if not publication and not fetching:
            return
        try:
            replies = self._current().store.call(*publication, *fetching)
        except BaseException:
            self.lost()
            raise
        self.merge(replies[len(publication) :])

    def lost(self) -> None:
        """What publish() gave out may never have been sent: it goes along with the next."""
        with self._lock:
            for replica in self._replicas():
                replica.lost()

    def exchange(self) -> None:
        """Exchange in the background while a segment is attached."""
        with self._lock:
            if self._exchange is None or not self._exchange.start():
                self._exchange = Exchange(self)
                self._exchange.start()
                util.Finalize(None, self._exchange.stop, exitpriority=STOP_PRIORITY)

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Go on with replicas of the child's own, under its new name."""
        self._lock = threading.RLock()
        self._exchange = None
        for replica in self._replicas():
            replica.settle()
        self._inherited = bool(self.attached)

    def _replica(self, hold: sharing.Hold, memory: Memory) -> Replica:
        return Replica(hold.oid, memory, hold, self._numbers, self._publish_last)

    def _attach(self, replica: Replica) -> None:
        self.attached = (*self.attached, weakref.ref(replica))
        self._by_oid[replica.oid] = replica
        if self._session is None:
            self.exchange()

    def _replicas(self) -> list[Replica]:
        replicas = [replica for ref in self.attached if (replica := ref()) is not None]
        if len(replicas) < len(self.attached):
            self.attached = tuple(weakref.ref(replica) for replica in replicas)
        return replicas

    def _publish_last(self, replica: Replica) -> None:
        # In a finaliser, which may run anywhere: no lock is taken, and modules may be empty.
        session = self._session or (sessions.attached() if sessions else None)
        if session is not None:
            session.store.soon(*replica.publication(session, threading.get_ident()))

    def _go_on(self, replica: Replica, after: int | None) -> None:
        # With the lock held: an answer that another thread applied between two pieces of this one
        # could be newer than what is still to come.
        session = self._current()
        while after is not None:
            after = replica.merge(session.store.ask(*replica.fetching(session, after)))

    def _adopt(self) -> Session:
        session = self._current()
        if self._inherited:
            self._inherited = False
            for replica in self._replicas():
                replica.hold = sharing.adopt(session, replica.hold)
            if self._session is None:
                self.exchange()
        return session

    def _current(self) -> Session:
        return self._session or sessions.current()


_engine = Engine()

share = _engine.share
replicate = _engine.replicate
merge = _engine.merge
synchronise = _engine.synchronise
lost = _engine.lost


def on_release(callback: Callable[[], None]) -> None:
    """Have something else than memory done before a release as well."""
    _engine.releases.append(callback)


def publish() -> Sequence[Command]:
    """Commands that publish what this process changed; to be sent before the releasing command."""
    for callback in _engine.releases:
        callback()
    return _engine.publish() if _engine.attached else ()


def fetch() -> Sequence[Command]:
    """Commands to be sent behind an acquiring command; merge() wants their replies."""
    return _engine.fetch() if _engine.attached else ()


os.register_at_fork(
    before=_engine.before_fork,
    after_in_parent=_engine.after_fork_in_parent,
    after_in_child=_engine.after_fork_in_child,
)
