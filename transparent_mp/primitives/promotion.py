"""How a local pipe moves to the store: both ends at once, with the messages between them.

    1  wake whoever waits in a local read; from here on readers of either end wait for step 4
    2  read what lies in the pipe, until no writer is in the middle of a message
    3  push it to the store
    4  both ends are shared; writers and readers go on there

Everything between the ends is in this process (no end was ever pickled), so nobody else can add to
it. An end that was closed or collected already is let go of at once, so that the other reads its
end.
"""

from __future__ import annotations

import os
import select
import struct
from typing import Any

from transparent_mp.primitives import sharing
from transparent_mp.primitives.connection import WAKE, Connection, Shared
from transparent_mp.store.content import pack
from transparent_mp.store.session import Session

#: Seconds between looks at a writer that is in the middle of a message: it needs this thread to
#: read what it has written, so it cannot be waited for with an event.
LOOK_EVERY = 0.001


def promote(session: Session, end: Connection) -> None:
    """Share the pipe of `end`."""
    peer = end._peer() if end._peer is not None else None
    if peer is not None and peer.closed:
        peer = None
    ends = [end] if peer is None else [end, peer]
    holds = sharing.create(session, 2)
    found: list[list[bytes]] = [[] for _ in ends]
    with _Readers(ends), _Writers(ends, found):
        for one, messages, hold in zip(ends, found, holds):
            shared = Shared(hold)
            for content in messages:
                first, message = pack(session, shared.inbound, content)
                session.store.cast(*first, ("RPUSH", shared.inbound, message))
            if messages:
                session.store.cast(("PEXPIRE", shared.inbound, session.ttl))
            one._shared = shared
    for one in ends:
        if one._exposed and one._readable:
            # The program may have kept the number of its fd.
            one.fileno()
    # With no peer left its hold ends here, and `end` is told.
    del holds


class _Readers:
    """Holds the reading side of each end, having woken whoever waits there."""

    def __init__(self, ends: list[Connection]) -> None:
        self._ends = ends

    def __enter__(self) -> None:
        for end in self._ends:
            end.moving.acquire()
            if not end.reading.acquire(blocking=False):
                peer = end._peer() if end._peer is not None else None
                if peer is not None and not peer.closed:
                    with peer.writing:
                        os.write(peer._handle, WAKE)
                end.reading.acquire()

    def __exit__(self, *_exc: object) -> None:
        for end in self._ends:
            end.reading.release()
            end.moving.release()


class _Writers:
    """Holds the writing side of each end, and has read into `found` what each end was sent."""

    def __init__(self, ends: list[Connection], found: list[list[bytes]]) -> None:
        self._ends = ends
        self._found = found

    def __enter__(self) -> None:
        for end in self._ends:
            while not end.writing.acquire(timeout=LOOK_EVERY):
                self._read()
        self._read()

    def __exit__(self, *_exc: object) -> None:
        for end in self._ends:
            end.writing.release()

    def _read(self) -> None:
        for end, messages in zip(self._ends, self._found):
            while end._readable and _readable(end._handle):
                content = _message(end)
                if content is None:
                    break
                messages.append(content)


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
    except EOFError:
        return None
    return content
