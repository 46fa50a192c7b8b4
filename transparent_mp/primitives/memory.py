"""Shared memory is release-consistent: what a process wrote before a release is seen after the acquire.

    release   cast() and call() send a publication before the releasing command, in the same write
    acquire   fetch() gives commands that go behind the acquiring one, so they run after it was
              served; merge() applies their replies
    both      synchronise(), for places where there is no other command to ride on

A segment *follows* every release and acquire of the process, or *rides* on one lock: a Value or an
Array that is reached through its own lock only (`sharedctypes`) is read and written while that lock
is held, so it is published when that lock is released, and fetched when it is taken, and at no other
time. `follow` ends the riding, when the program takes the buffer itself.

Every process works on a replica at memory speed. A publication carries exactly the bytes that
changed since the last one, so writers of different bytes never lose each other's writes; of two
writers of one byte without a lock between them, the later publication wins. A fetch costs a few
bytes for a segment that nobody else changed. docs/memory-model.md says what a program may rely on.

For programs that poll memory without synchronising, a thread exchanges every few milliseconds
while a segment is attached.

Whoever is given commands by publish() sends them in a block of sending().
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing import util
from typing import Any, Callable

from transparent_mp.primitives import session as sessions
from transparent_mp.primitives import sharing
from transparent_mp.primitives.asking import fetching, going_on, unaccepted
from transparent_mp.primitives.brings import Brings
from transparent_mp.primitives.exchange import Exchange
from transparent_mp.primitives.replica import Memory, Replica
from transparent_mp.primitives.riding import Lock, Segments, alive
from transparent_mp.store.busy import unless_taken
from transparent_mp.store.line import OnReply
from transparent_mp.store.link import Command, Reply
from transparent_mp.store.scripts import together
from transparent_mp.store.session import Session

#: After everything that may still publish; the session ends later still.
STOP_PRIORITY = -900


class Engine:
    """All replicas of one process. Thread-safe."""

    # For finalisers at the interpreter's end, when this module is empty.
    _unless_taken = staticmethod(unless_taken)

    def __init__(self, session: Session | None = None) -> None:
        """`session`: None for the process's own, which is looked up when it is needed."""
        self._session = session
        self._lock = threading.RLock()
        #: All segments of the process; empty when nothing is shared.
        self.attached: Segments = ()
        #: Those that no lock names.
        self.following: Segments = ()
        self._by_oid: weakref.WeakValueDictionary[str, Replica] = weakref.WeakValueDictionary()
        self._numbers = itertools.count(1)
        self._unused: deque[tuple[memoryview, Memory]] = deque()
        self._inherited = False
        self._exchange: Exchange | None = None
        #: How often this process has published and merged: what the exchange looks at.
        self.published = 0
        self.merged = 0
        #: What else is done before a release.
        self.releases: list[Callable[[], None]] = []
        #: What gives the replies to fetches that were under way, if they are here and nobody has had them.
        self.looks: list[Callable[[], Iterable[Reply]]] = []

    def share(self, memory: Memory, lock: Lock | None = None, *, oid: str = "") -> Replica:
        """Make local memory a segment with the contents it has.

        `lock`: what it rides on. `oid`: of an object that is there already.
        """
        session = self._current()
        hold = sharing.take(session, oid) if oid else sharing.create(session)[0]
        replica = self._replica(hold, memory)
        with self._lock:
            # Before its contents are looked at: what a thread writes from here on, it publishes.
            self._attach(replica, lock)
            # One command at a time: the contents may be larger than what is free beside them.
            for command in replica.publication(session, threading.get_ident(), whole=True):
                session.store.cast(command)
            replica.sent(threading.get_ident())
        return replica

    def replicate(self, oid: str, memory: Memory, token: str = "", lock: Lock | None = None) -> Replica:
        """Attach zeroed local memory to a segment and load what that holds now, or when `lock` is taken."""
        session = self._current()
        replica = self._replica(sharing.take(session, oid, 0, token), memory)
        # An earlier replica of this process may have written what this one has not seen.
        with self._lock:
            if lock is None:
                replica.fresh = True
                self._go_on(replica, 0)
                replica.fresh = False
            self._attach(replica, lock)
        return replica

    def follow(self, replica: Replica) -> None:
        """From here on `replica` follows every release and acquire; it has what they brought before."""
        with self._lock:
            lock, replica.lock = replica.lock, None
            if lock is None:
                return
            self.following = (*self.following, weakref.ref(replica))
            session = self._adopt()
            self.merge(session.store.call(*fetching(session, [replica])))
            # A release that finds it named twice publishes it once.
            lock.riders = tuple(ref for ref in lock.riders if ref() not in (None, replica))

    def cast(
        self,
        *commands: Command,
        riders: Segments = (),
        on_reply: OnReply = None,
        given: list[bool] | None = None,
    ) -> None:
        """Release: cast the commands behind what publishes this process's changes.

        `riders`: those of the lock that is released. `given`: as Store.cast.
        """
        store = (self._session or sessions.current()).store
        try:
            publication = self.publish(riders)
            releasing = together(*publication, *commands) if publication else commands
            store.cast(*releasing, on_reply=on_reply, given=given)
        except BaseException:
            self.lost()
            raise
        if publication:
            self._sent()

    def call(self, *commands: Command, riders: Segments = ()) -> list[Reply]:
        """Release: as cast(), and return the replies to `commands`."""
        store = self._current().store
        with self.sending():
            publication = self.publish(riders)
            return store.call(*publication, *commands)[len(publication) :]

    def publish(self, riders: Segments = ()) -> Sequence[Command]:
        """Commands that publish what this process changed; to be sent before the releasing command."""
        for release in self.releases:
            release()
        if not riders and not self.following:
            return ()
        commands: list[Command] = []
        thread = threading.get_ident()
        with self._lock:
            session, replicas = self._chosen(riders)
            self.published += 1
            for replica in replicas:
                commands += replica.publication(session, thread)
        if self._unused:
            self._free_unused()
        return commands

    def fetch(self, riders: Segments = (), brings: Brings | None = None) -> Sequence[Command]:
        """Commands to be sent behind an acquiring command; merge() wants their replies.

        `riders`: those of the lock that is acquired. `brings`: of an end that asks while others are asking;
        what its answers have brought.
        """
        if not riders and not self.following:
            return ()
        with self._lock:
            return fetching(*self._chosen(riders), brings)

    def merge(self, replies: Iterable[Reply], brings: Brings | None = None) -> None:
        if not replies and not self.attached and not self._unused:
            return
        with self._lock:
            self.merged += 1
            rest, looked = unaccepted(self._by_oid, replies, brings), False
            for replica, answer in self._answers(rest) if rest else ():
                if not looked and replica.lacks(answer):
                    looked = True
                    self._merge_what_is_here()
                if brings is not None and replica.small:
                    brings.learn(replica, answer)
                self._go_on(replica, replica.merge(answer))
        self._free_unused()

    def _answers(self, replies: Iterable[Reply]) -> Iterator[tuple[Replica, list[Any]]]:
        question = 0
        for reply in replies:
            if reply.__class__ is bytes:
                question = int(reply)
                continue
            plain = reply[0].__class__ is not list
            for answer in (reply,) if plain else reply:
                # Nothing was ever published, or the segment has been detached meanwhile.
                replica = None if answer[0] is None else self._by_oid.get(answer[0].decode())
                if replica is not None and not replica.ended:
                    yield replica, (replica.seen(self._current(), answer, question) if plain else answer)

    def synchronise(self) -> None:
        if self.following:
            self._exchanged()

    def poll(self) -> None:
        """Exchange what may be read without a lock: what follows, and what is being written under one."""
        if self._session is None and sessions.attached() is None:
            # It has ended, and none is opened for what is left of it.
            return
        written = self._under_way()
        if written or self.following:
            self._exchanged(written)

    def leave(self) -> None:
        """Publish everything, also what rides on a lock that is held: the process ends."""
        with self.sending():
            last = self.publish(self.attached)
            if last:
                self._current().store.cast(*last)

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        """A block in which what publish() gave to this thread is sent."""
        try:
            yield
        except BaseException:
            self.lost()
            raise
        self._sent()

    def _sent(self) -> None:
        thread = threading.get_ident()
        with self._lock:
            for replica in alive(self.attached):
                replica.sent(thread)

    def lost(self) -> None:
        """What publish() gave out may never have been sent: it goes along with the next."""
        with self._lock:
            for replica in self._replicas():
                replica.lost()

    def detach(self, replica: Replica) -> None:
        """In the child of a fork: the parent, with whom its memory stays shared, exchanges it."""
        self.attached = tuple(ref for ref in self.attached if ref() is not replica)
        self.following = tuple(ref for ref in self.following if ref() is not replica)
        self._by_oid.pop(replica.oid, None)
        replica.mute()

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
        return Replica(hold.oid, memory, hold, self._numbers, self._publish_last, self._free)

    def _attach(self, replica: Replica, lock: Lock | None) -> None:
        ref = weakref.ref(replica)
        self.attached = (*self.attached, ref)
        if lock is None:
            self.following = (*self.following, ref)
        else:
            replica.lock = lock
            lock.riders = (*(one for one in lock.riders if one() is not None), ref)
        self._by_oid[replica.oid] = replica
        if self._session is None:
            self.exchange()

    def _replicas(self) -> list[Replica]:
        replicas = alive(self.attached)
        if len(replicas) < len(self.attached):
            self.attached = tuple(weakref.ref(replica) for replica in replicas)
        return replicas

    def _chosen(self, riders: Segments) -> tuple[Session, list[Replica]]:
        """What is published and fetched with those riders, and in which session; with the lock held."""
        session = self._adopt() if self._inherited else self._session or sessions.current()
        if not self.following:
            return session, alive(riders)
        following = alive(self.following)
        if len(following) < len(self.following):
            self.following = tuple(weakref.ref(replica) for replica in following)
            self._replicas()
        return session, following + alive(riders) if riders else following

    def _under_way(self) -> Segments:
        return tuple(
            weakref.ref(replica)
            for replica in self._replicas()
            if replica.lock is not None and replica.lock.held()
        )

    def _exchanged(self, riders: Segments = ()) -> None:
        with self.sending():
            publication, fetch = self.publish(riders), self.fetch()
            if not publication and not fetch:
                return
            replies = self._current().store.call(*publication, *fetch)
        self.merge(replies[len(publication) :])

    def _publish_last(self, replica: Replica) -> None:
        # In a finaliser, which may run anywhere: no lock is taken, and modules may be empty.
        attached = getattr(sessions, "attached", None)
        session = self._session or (attached() if attached else None)
        if session is not None:
            session.store.soon(*replica.publication(session, threading.get_ident()))

    def _free(self, view: memoryview, memory: Memory) -> None:
        # In a finaliser too: another thread may be comparing this very memory, with the lock held.
        self._unused.append((view, memory))
        self._free_unused()

    def _free_unused(self) -> None:
        # Whoever holds the lock looks again after letting go of it.
        while self._unused and self._unless_taken(self._lock, self._free_one):
            pass

    def _free_one(self) -> bool:
        view, memory = self._unused.popleft()
        view.release()
        memory.free()
        return True

    def _merge_what_is_here(self) -> None:
        """Of several answers that were under way, those that nobody has asked for yet."""
        answers = [answer for look in self.looks for answer in self._answers(look())]
        for replica, answer in sorted(answers, key=lambda found: int(found[1][4])):
            if not replica.lacks(answer):
                self._go_on(replica, replica.merge(answer))

    def _go_on(self, replica: Replica, after: int | None) -> None:
        # With the lock held: an answer that another thread applied between two pieces of this one
        # could be newer than what is still to come.
        while after is not None:
            session = self._current()
            (answer,) = session.store.ask(*going_on(session, replica, after))
            after = replica.merge(answer, after)

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
follow = _engine.follow
publish = _engine.publish
fetch = _engine.fetch
merge = _engine.merge
synchronise = _engine.synchronise
cast = _engine.cast
call = _engine.call
sending = _engine.sending
leave = _engine.leave
detach = _engine.detach
#: Has something else than memory done before a release as well.
on_release = _engine.releases.append
#: Has replies looked for where an answer begins behind what is known.
on_gap = _engine.looks.append

os.register_at_fork(
    before=_engine.before_fork,
    after_in_parent=_engine.after_fork_in_parent,
    after_in_child=_engine.after_fork_in_child,
)
