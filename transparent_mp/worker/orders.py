"""What a supervisor gives to a child it has forked, of the frame that it was given itself.

    the frame as it came     to a child that knows nothing yet: it opens the sealed body, and fetches what is
                             large
    = PID UID, the object    to a copy of a template, which has all else that is in the body: its supervisor
                             has opened that, and seen that it says the same

What is sealed is checked before it is used, by the one or the other. It unpickles nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from transparent_mp.primitives import ahead
from transparent_mp.ship.frames import Head, parted
from transparent_mp.store.content import at_hand, unpack_whole
from transparent_mp.store.session import Session

_SHORT = b"="


class Order(NamedTuple):
    """For a copy."""

    pid: int
    uid: str
    #: Pickled.
    obj: memoryview


def opened(session: Session, head: Head, body: bytes) -> tuple[memoryview, memoryview]:
    """What a process has in common with those like it, and its object. Raises UntrustedPayloadError."""
    return parted(unpack_whole(session, _place(head), ahead.split(body)[1]))


def opened_here(session: Session, head: Head, body: bytes) -> tuple[memoryview, memoryview] | None:
    """The same without the store and without complaint: None for what is not right, or lies elsewhere."""
    content = at_hand(session, _place(head), ahead.split(body)[1])
    return None if content is None else parted(content)


def given(session: Session, head: Head, body: bytes, frame: bytes, common: bytes) -> bytes:
    """What a child is given of a frame, which has `common` ready, b'' for nothing."""
    found = opened_here(session, head, body) if common else None
    if found is None or found[0] != common:
        # It finds out by itself: much of it may lie elsewhere.
        return frame
    return b"".join((b"%b%d %b\n" % (_SHORT, head["pid"], head["uid"].encode()), found[1]))


def read(order: bytes) -> Order | None:
    """None for a frame as it came."""
    if not order.startswith(_SHORT):
        return None
    end = order.index(b"\n")
    pid, uid = order[len(_SHORT) : end].split()
    return Order(int(pid), uid.decode(), memoryview(order)[end + 1 :])


def _place(head: Head) -> str:
    return "process:" + str(head["uid"])
