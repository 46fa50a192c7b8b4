"""Local until shared: what it means for an object to be in the store, and who holds it.

A primitive is the standard library's own object until it is first pickled for another process.
Then it gets an object id, its state moves to the store, and the same Python object goes on there.

Each process that can reach one side of an object is a *holder* of that side, through one `Hold`
that all Python objects of the process for that side keep alive. The store tells the other side
when the last holder is gone, be it by close, collection or death, and deletes what nobody holds.
A pickle that is under way holds for its receiver: in a process being started that is the child's
own holder id; in a message it is a token that the receiver's hold replaces.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence

from transparent_mp.primitives import forked
from transparent_mp.primitives import session as sessions
from transparent_mp.store.link import Command
from transparent_mp.store.replay import Numbers, Seen
from transparent_mp.store.scripts import script
from transparent_mp.store.session import Session, new_id

#: What the holder id of a pickle under way in a message begins with; lua/include/objects.lua looks for it.
TOKEN = b"token-"


class Hold:
    """This process's hold on one side of an object; letting the last reference go ends it."""

    __slots__ = ("__weakref__", "holder", "numbers", "oid", "seen", "side")

    def __init__(self, oid: str, side: int, holder: str) -> None:
        self.oid = oid
        self.side = side
        self.holder = holder
        #: Of the messages that this process sends from here, and of those that it has received.
        self.numbers = Numbers()
        self.seen = Seen()

    def __del__(self) -> None:
        # The interpreter's end empties modules; the session is over then.
        attached = getattr(sessions, "attached", None)
        session = attached() if attached else None
        # What came along with a fork is the parent's to end.
        if session is not None and session.uid == self.holder:
            session.store.soon(_drop(session, session.uid, self.oid, self.side))


class _Handed(threading.local):
    """Whether this thread has pickled something for a message that it has not sent yet."""

    over = False


_handed = _Handed()
_holds: weakref.WeakValueDictionary[tuple[str, int], Hold] = weakref.WeakValueDictionary()
_lock = threading.RLock()


def create(session: Session, sides: int = 1) -> tuple[Hold, ...]:
    """Make a new object with one or two sides, all held by this process."""
    oid = new_id()
    return tuple(_take(session, oid, side, "new", "") for side in range(sides))


def take(session: Session, oid: str, side: int = 0, token: str = "") -> Hold:
    """This process's hold on a side it was given; `token` is what the pickle carried."""
    return _take(session, oid, side, "", token)


def held() -> list[str]:
    """The sides that this process holds, as scripts name them."""
    with _lock:
        return [f"{oid} {side}" for oid, side in _holds]


def adopt(session: Session, hold: Hold) -> Hold:
    """In a forked child: its own hold on what it got with the parent's memory."""
    return _take(session, hold.oid, hold.side, "", "")


def hand_over(session: Session, hold: Hold, receiver: str | None) -> str:
    """Hold for the receiver of a pickle under way; returns the token to put into the pickle.

    `receiver` is the holder id of a process being started, or None for a message.
    """
    token = "" if receiver else TOKEN.decode() + new_id()
    _handed.over = _handed.over or bool(token)
    session.store.cast(_hold(session, receiver or token, hold.oid, hold.side, "", ""))
    return token


def carriage(session: Session, oid: str) -> Sequence[Command]:
    """What to send before a message of object `oid` that this thread has just pickled.

    A message that holds for its receiver is to be let go of when nobody will read it, so its object is
    known as a carrier.
    """
    if not _handed.over:
        return ()
    _handed.over = False
    return carrier(session, oid)


def carrier(session: Session, oid: str) -> Sequence[Command]:
    """Make it known that messages of object `oid` hold for their receivers, or have blobs."""
    key = session.keys("carriers")
    return ("SADD", key, oid), ("PEXPIRE", key, session.ttl), ("SADD", session.keys("keys"), key)


def _take(session: Session, oid: str, side: int, new: str, token: str) -> Hold:
    with _lock:
        hold = _holds.get((oid, side))
        if hold is None:
            hold = _holds[oid, side] = Hold(oid, side, session.uid)
            session.store.cast(_hold(session, session.uid, oid, side, new, token))
        elif token:
            session.store.cast(_drop(session, token, oid, side))
    return hold


def _hold(session: Session, holder: str, oid: str, side: int, new: str, replaces: str) -> Command:
    keys = session.keys
    names = (
        keys.object(oid, f"h{side}"),
        keys("holds", holder),
        keys("objects"),
        keys("keys"),
        keys("holds", replaces or holder),
    )
    return script("hold", names, (holder, f"{oid} {side}", oid, session.ttl, new, replaces))


def _drop(session: Session, holder: str, oid: str, side: int) -> Command:
    keys = session.keys
    names = (keys.object(oid, f"h{side}"), keys("holds", holder), keys("objects"), keys("keys"))
    return script("drop", names, (holder, oid, side, session.ttl, keys.base, keys.any_object))


def _after_fork_in_child() -> None:
    # The parent's holds are not the child's: it begins with none, and takes what it is given.
    global _holds, _lock
    _holds = weakref.WeakValueDictionary()
    _lock = threading.RLock()


forked.in_child(_after_fork_in_child)
