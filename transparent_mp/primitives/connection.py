"""Connections: the two ends of a pipe, local until one of them is pickled for another process.

    LOCAL    the standard library's own Connection over a kernel pipe or socket pair
    SHARED   an object of two sides; what side 0 is sent lies in list q0, and side 1 in q1

LOCAL -> SHARED moves both ends that are in this process, with the messages that lie between them
(`promotion`); threads that wait in a local read are woken and go on in the store.

A shared end's `fileno()` is a real fd, readable exactly when a message or the end is there: that of
a link on which a blocking look (BLMOVE of the list's head onto itself) is outstanding. It takes
nothing, so another holder of the same end may still read the message; `recv` is a pop.

The end of a side is an empty message that stays at the head of the other side's list.

Unlike the standard library, a send to an end whose last holder is gone may succeed, and so may those
that follow at once: BrokenPipeError is raised by the first one after the store's answer has come.
"""

from __future__ import annotations

import functools
import io
import os
import select
import threading
import time
import weakref
from multiprocessing import connection, context
from typing import Any

from transparent_mp.errors import StoreError
from transparent_mp.primitives import memory, pickling, sharing
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.arrived import Content
from transparent_mp.primitives.shared_end import Shared
from transparent_mp.primitives.streaming import Stream
from transparent_mp.primitives.watching import Watch
from transparent_mp.store.content import pack, unpack
from transparent_mp.store.link import Command
from transparent_mp.store.scripts import script, with_words
from transparent_mp.store.session import Session

#: A length that no message has: written into a local pipe to wake its reader for the store.
WAKE = b"\xff\xff\xff\xfe"

# typeshed knows the public names only; ours stand on the others.
stock: Any = connection
# The module's own names will be ours.
_stock_pipe = stock.Pipe
_StockConnection: Any = stock.Connection


class Connection(_StockConnection):  # type: ignore[misc]
    """One end of a pipe."""

    # Class attributes, since the standard library makes connections from fds with no word to us.
    _shared: Shared | None = None
    _peer: weakref.ref[Connection] | None = None
    _exposed = False
    _handle: Any
    _readable: bool
    _writable: bool

    def __init__(self, handle: int, readable: bool = True, writable: bool = True) -> None:
        super().__init__(handle, readable, writable)
        # Held around each local message, so that promotion finds whole ones.
        self.reading = threading.Lock()
        self.writing = threading.Lock()
        # One for both ends of a pipe, held while it moves to the store.
        self.moving = threading.Lock()
        #: Fds to write to so as to wake those that wait in a local poll. Removed from with `moving` held.
        self.wakers: list[int] = []

    @classmethod
    def of(cls, shared: Shared, readable: bool, writable: bool) -> Connection:
        """An end that is shared from its beginning."""
        # No fd until one is asked for; the number only has to be no error.
        self = cls(0, readable, writable)
        self._handle = _NO_FD
        self._shared = shared
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        self._check_closed()
        popen = context.get_spawning_popen()
        receiver = getattr(popen, "uid", None)
        local_child = popen is not None and receiver is None
        if self._shared is None and (local_child or self._peer is None):
            # A real child of this machine, or the end of a socket: file descriptors, as ever.
            return stock.reduce_connection(self)  # type: ignore[no-any-return]
        session = sessions.current()
        if self._shared is None:
            from transparent_mp.primitives.promotion import promote

            promote(session, self)
        assert self._shared is not None
        if self._shared.early is not None:
            self._shared.early.give(receiver)
        hold = self._shared.hold
        token = sharing.hand_over(session, hold, receiver)
        return rebuild, (hold.oid, hold.side, token, self._readable, self._writable)

    @property
    def shared(self) -> bool:
        """Whether it may lead to another machine."""
        return self._shared is not None

    def fileno(self) -> int:
        self._check_closed()
        self._exposed = True
        if self._shared is not None and self._readable:
            self._watch().arm()
        return int(self._handle)

    @property
    def watch(self) -> Watch | None:
        """What stands behind its fd, once this process has asked for that."""
        watch = self._shared.watch if self._shared is not None else None
        return None if watch is None or watch.inherited else watch

    def _watch(self) -> Watch:
        shared = self._shared
        assert shared is not None
        if shared.watch is None or shared.watch.inherited:
            self._end_early()
            watch = Watch(sessions.current().store, shared.inbound)
            # The number the program knows stays the same.
            if self._handle == _NO_FD:
                self._handle = os.dup(watch.line.fileno())
            else:
                os.dup2(watch.line.fileno(), self._handle)
            watch.handle = self._handle
            # Only now: what is interrupted before is begun anew.
            shared.watch = watch
        return shared.watch

    def _end_early(self) -> None:
        """From now on others may read what comes to this end."""
        assert self._shared is not None
        early, self._shared.early = self._shared.early, None
        if early is not None:
            early.end()
        if self._shared.stream is not None:
            self._shared.stream.give_back()

    # Bound here: what outlives `__main__` is closed when this module's names are gone already.
    def _close(self, _close_fd: Any = os.close, _no_fd: int = -1) -> None:
        shared, self._shared = self._shared, None
        handle, self._handle = self._handle, None
        if shared is not None:
            shared.flow.close()
            if shared.early is not None:
                shared.early.close()
            if shared.stream is not None:
                shared.stream.end()
            if shared.watch is not None:
                shared.watch.close()
        if handle not in (None, _no_fd):
            _close_fd(handle)

    def send(self, obj: Any) -> None:
        if self._shared is None:
            super().send(obj)
            return
        self._check_writable()
        self._send_bytes(pickling.dumps(obj))

    def recv(self) -> Any:
        self._check_closed()
        self._check_readable()
        found: Any = self._recv_bytes()
        return found.unpickled() if type(found) is Content else stock._ForkingPickler.loads(found.getbuffer())

    def _send_bytes(self, buf: Any) -> None:
        if self._shared is None:
            with self.writing:
                if self._shared is None:
                    super()._send_bytes(buf)
                    return
        flow = self._shared.flow
        # Also before: what was posted did not wait.
        flow.wait()
        self.post(buf)
        flow.wait()

    def has_room(self) -> bool:
        """Whether a message would be sent at once."""
        return self._shared is None or self._shared.flow.opens()

    def post(self, buf: Any, given: list[bool] | None = None) -> None:
        """Send to the store without regard to how far the other side is behind. `given`: as Store.cast."""
        shared = self._shared
        if shared is None:
            raise OSError("handle is closed")
        session = sessions.current()
        shared.sent.begin(session.store)
        ack = shared.flow.count(len(buf))
        first, message = self.packed(buf, ack)
        push = with_words(shared.push, message)
        memory.cast(*first, push, on_reply=shared.sent, given=given)
        if ack:
            shared.flow.asked(message)
        if shared.early is not None:
            shared.early.asked()

    def packed(self, buf: Any, ack: str = "") -> tuple[list[Command], bytes]:
        """What to send first, and the message of this shared end."""
        session, shared = sessions.current(), self._shared
        assert shared is not None
        carriage = sharing.carriage(session, shared.hold.oid)
        numbers = shared.hold.numbers
        first, message = pack(session, shared.outbound, buf, ack, numbers, holds=bool(carriage))
        if first and not carriage and not shared.carries:
            # What lies beside a message goes with it when nobody reads it.
            carriage, shared.carries = sharing.carrier(session, shared.hold.oid), True
        return [*carriage, *first], message

    def _recv_bytes(self, maxsize: int | None = None) -> io.BytesIO | Content | None:
        while self._shared is None:
            with self.reading:
                if self._shared is None:
                    found: io.BytesIO | None = self._recv_local(maxsize)
                    if found is not _WOKEN:
                        return found
            self._await_move()
        content = self.take(None)
        assert content is not None
        if maxsize is not None and len(content) > maxsize:
            return None
        return Content(content)

    def _await_move(self) -> None:
        """Return when no move to the store is under way."""
        with self.moving:
            pass

    def _recv_local(self, maxsize: int | None) -> Any:
        head = self._recv(4)
        if head.getvalue() == WAKE:
            return _WOKEN
        # The standard library's reading of a head goes on from here.
        return _Rest(self, head).message(maxsize)

    def take(self, timeout: float | None, taken: list[bool] | None = None) -> Any:
        """The next message's content; None when none came in time. Raises EOFError at the end.

        `taken`: is filled as soon as nobody else can have the message any more.
        """
        shared = self._shared
        if shared is None:
            raise OSError("handle is closed")
        session = sessions.current()
        deadline = None if timeout is None else time.monotonic() + timeout
        # The replies that have been taken, until nothing is lost with them.
        found: list[Any] = []
        try:
            content = self._taken(session, shared, deadline, found, [] if taken is None else taken)
            if shared.stream is not None and content is not None:
                shared.stream.left(len(content))
            return content
        except (StoreError, EOFError):
            raise
        except BaseException:
            # A signal handler's, when the message was taken already.
            if shared.stream is None or not shared.stream.restored(found):
                session.store.restore(shared.inbound, found)
            raise

    def _taken(
        self, session: Session, shared: Shared, deadline: float | None, found: list[Any], taken: list[bool]
    ) -> Any:
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        looks = functools.partial(shared.sent.look, session.store)
        early = shared.early is not None and shared.early.take(timeout, found, looks)
        if not early and not shared.streamed(found):
            if deadline is not None:
                timeout = max(0.0, deadline - time.monotonic())
            if (watch := self.watch) is not None:
                watch.take(timeout, memory.fetch(), found)
            elif timeout is not None and timeout <= 0:
                session.store.take(shared.inbound, memory.fetch(), found)
            else:
                session.store.pop(shared.inbound, timeout, memory.fetch(), looks, found)
                if shared.early is not None and found[0] is not None:
                    shared.early.missed()
        if not found or found[0] is None:
            return None
        message, *rest = found
        memory.merge(rest, shared.early.brings if early and shared.early else None)
        if not message:
            session.store.cast(("LPUSH", shared.inbound, b""), ("PEXPIRE", shared.inbound, session.ttl))
            raise EOFError
        # From here on it is known to have been received, and is not to be put back.
        taken += (True,)
        found.clear()
        return unpack(session, shared.inbound, message, shared.hold.seen)

    def accept(self) -> Any:
        """The next message's content if there is one; what it holds for its receiver is ours at once.

        After `take`, a process that ends before it has unpickled the message would leave the other side
        of what lies in it waiting for ever.
        """
        session, shared = sessions.current(), self._shared
        assert shared is not None
        keys = session.keys
        names = (shared.inbound, keys("holds", session.uid), keys("keys"))
        args = (keys.base, keys.any_object, session.uid, session.ttl)
        message = session.store.ask(*script("accept", names, args))
        if self.watch is not None:
            self.watch.taken()
        return unpack(session, shared.inbound, message, shared.hold.seen) if message else None

    def stream(self) -> None:
        """From here on several messages may be fetched at once, to be taken one after the other."""
        shared, session = self._shared, sessions.current()
        if shared is not None and shared.stream is None and session.uid == session.client:
            shared.stream = Stream(session, shared.inbound)

    def length(self) -> int:
        """Messages that wait at this shared end."""
        assert self._shared is not None
        there = sessions.current().store.ask("LLEN", self._shared.inbound)
        return int(there) + len(self._shared.stream or ())

    def _poll(self, timeout: float | None) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        if self._shared is None:
            ready = self._poll_local(timeout)
            if self._shared is None:
                return ready
            timeout = None if deadline is None else deadline - time.monotonic()
        if self._shared.early is not None and self._shared.early.poll(timeout):
            return True
        timeout = None if deadline is None else deadline - time.monotonic()
        if self.length():
            return True
        return False if timeout is not None and timeout <= 0 else self._watch().wait(timeout)

    def _poll_local(self, timeout: float | None) -> bool:
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        if timeout is not None and timeout <= 0:
            ready = bool(poll.poll(0))
            # What is there may be a word to another thread that the pipe moves.
            self._await_move()
            return ready
        woken, waker = os.pipe()
        try:
            poll.register(woken, select.POLLIN)
            self.wakers.append(waker)
            if self._shared is not None:
                return False
            return bool(poll.poll(None if timeout is None else timeout * 1000))
        finally:
            with self.moving:
                self.wakers.remove(waker)
            os.close(woken)
            os.close(waker)


class _Rest:
    """Reads a message whose four bytes of head have been read, by the standard library's own code."""

    def __init__(self, end: Connection, head: io.BytesIO) -> None:
        self._end = end
        self._head: io.BytesIO | None = head

    def _recv(self, size: int) -> io.BytesIO:
        head, self._head = self._head, None
        return head if head is not None else self._end._recv(size)

    def message(self, maxsize: int | None) -> Any:
        return _StockConnection._recv_bytes(self, maxsize)


_NO_FD = -1
_WOKEN: Any = object()


def Pipe(duplex: bool = True) -> tuple[Any, Any]:  # noqa: N802  the standard library's name
    """Both ends of a new pipe."""
    one, two = _stock_pipe(duplex)
    one._peer, two._peer = weakref.ref(two), weakref.ref(one)
    two.moving = one.moving
    return one, two


def rebuild(oid: str, side: int, token: str, readable: bool, writable: bool) -> Connection:
    """The end that a pickle names, in the process that unpickles it."""
    hold = sharing.take(sessions.current(), oid, side, token)
    return Connection.of(Shared(hold), readable, writable)


def shared_pipe() -> tuple[Connection, Connection]:
    """Both ends of a duplex pipe that is in the store from its beginning."""
    one, two = sharing.create(sessions.current(), 2)
    return Connection.of(Shared(one), True, True), Connection.of(Shared(two), True, True)
