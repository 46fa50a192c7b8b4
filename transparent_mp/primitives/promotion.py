"""How a local pipe moves to the store: both ends at once, with the messages between them.

    1  wake whoever waits in a local read; from here on readers of either end wait for step 4
    2  read what lies in the pipe, until no writer is in the middle of a message
    3  push it to the store
    4  both ends are shared; writers and readers go on there, and who waits in a local poll is woken

Everything between the ends is in this process (no end was ever pickled), so nobody else can add to
it. An end that was closed or collected already is let go of at once, so that the other reads its
end.

A thread that waits in `select` or `connection.wait` meanwhile is not woken: it looks at the pipe that
was.
"""

from __future__ import annotations

import contextlib
import os
import select
import struct
from typing import Any

from transparent_mp.primitives import sharing
from transparent_mp.primitives.connection import WAKE, Connection
from transparent_mp.primitives.early import Early
from transparent_mp.primitives.shared_end import Shared
from transparent_mp.store.content import pack
from transparent_mp.store.session import Session

#: Seconds between looks at a reader or writer that is in the middle of a message. A writer needs this
#: thread to read what it has written, and behind a reader another may come that must be woken, so
#: neither can be waited for with an event.
LOOK_EVERY = 0.001


def promote(session: Session, end: Connection) -> None:
    """Share the pipe of `end`, unless another thread was faster."""
    with end.moving:
        if end._shared is None:
            _move(session, end)


def _move(session: Session, end: Connection) -> None:
    peer = end._peer() if end._peer is not None else None
    if peer is not None and peer.closed:
        peer = None
    ends = [end] if peer is None else [end, peer]
    holds = sharing.create(session, 2)
    found: list[list[bytes]] = [[] for _ in ends]
    with contextlib.ExitStack() as stopped:
        for one in ends:
            _stop_readers(one)
            stopped.callback(one.reading.release)
        for one in ends:
            while not one.writing.acquire(timeout=LOOK_EVERY):
                _read(ends, found)
            stopped.callback(one.writing.release)
        _read(ends, found)
        shared = [Shared(hold) for hold in holds[: len(ends)]]
        for inbox, messages in zip(shared, found):
            _push(session, inbox, messages)
        if peer is not None and peer._readable and peer._writable:
            # One is being handed over, which it is told.
            for inbox in shared:
                holders = session.keys.object(inbox.hold.oid, f"h{inbox.hold.side}")
                inbox.early = Early(session.store, inbox.inbound, session.ttl, holders)
        for one, inbox in zip(ends, shared):
            one._shared = inbox
    for one in ends:
        for waker in one.wakers:
            os.write(waker, b"m")
        if one._exposed and one._readable:
            # The program may have kept the number of its fd.
            one.fileno()
    # With no peer left its hold ends here, and `end` is told.
    del holds


def _stop_readers(end: Connection) -> None:
    """Hold the reading side of `end`, having woken whoever waits there."""
    if end.reading.acquire(blocking=False):
        return
    peer = end._peer() if end._peer is not None else None
    while True:
        # Once for each reader: one that was woken lets the next one read before it waits for the move.
        if peer is not None and not peer.closed and not _readable(end._handle):
            with peer.writing:
                os.write(peer._handle, WAKE)
        if end.reading.acquire(timeout=LOOK_EVERY):
            return


def _read(ends: list[Connection], found: list[list[bytes]]) -> None:
    for end, messages in zip(ends, found):
        while end._readable and _readable(end._handle):
            content = _message(end)
            if content is None:
                break
            messages.append(content)


def _push(session: Session, inbox: Shared, messages: list[bytes]) -> None:
    inbound = inbox.inbound
    packed = [pack(session, inbound, content, holds=sharing.TOKEN in content) for content in messages]
    if any(first for first, _ in packed) or any(sharing.TOKEN in content for content in messages):
        session.store.cast(*sharing.carrier(session, inbox.hold.oid))
    for first, message in packed:
        session.store.cast(*first, ("RPUSH", inbound, message))
    if messages:
        session.store.cast(("PEXPIRE", inbound, session.ttl))


def _readable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def _message(end: Any) -> bytes | None:
    """One whole message, or None at the end; a wake-up nobody needed is passed over."""
    try:
        head = end._recv(4).getvalue()
        while head == WAKE:
            if not _readable(end._handle):
                return None
            head = end._recv(4).getvalue()
        (size,) = struct.unpack("!i", head)
        if size == -1:
            (size,) = struct.unpack("!Q", end._recv(8).getvalue())
        content: bytes = end._recv(size).getvalue()
    except (EOFError, ConnectionResetError):
        # Reset: the other end of a socket pair was closed before it had read everything.
        return None
    return content
