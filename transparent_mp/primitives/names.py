"""The session's names of shared memory: commands on them, and what they say.

A name stands for an object, the size of its segment, and where the contents are:

    client    in a file of the client's, who brings them into the store when asked
    file      in the store; the client has a file of that name besides
    store     in the store

It does not know what this process has of a segment: `segments` does.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from transparent_mp.errors import UntrustedPayloadError
from transparent_mp.store.link import Command
from transparent_mp.store.scripts import script
from transparent_mp.store.session import Session

CLIENT, FILE, STORE = "client", "file", "store"

#: Holder of what has a name.
NAMES = "names"


class Entry(NamedTuple):
    """What a name stands for."""

    oid: str
    size: int
    where: str

    def __str__(self) -> str:
        return f"{self.oid} {self.size} {self.where}"


def enter(session: Session, name: str, entry: Entry, *, must: bool) -> Command:
    """Answers 0 when the name is taken, or fails then if it `must`, for want of someone who waits."""
    keys = session.keys
    of = (keys("segments"), keys.object(entry.oid, "h0"), keys("holds", NAMES), keys("objects"), keys("keys"))
    return script("enter", of, (name, *entry, session.ttl, "must" if must else ""))


def find(session: Session, name: str) -> Entry | None:
    """Find a name and hold what it stands for, unless that is this client's own file."""
    keys = session.keys
    of = (keys("segments"), keys("holds", session.uid), keys("keys"))
    file = "file" if session.uid == session.client else ""
    args = (name, session.uid, keys.any_object, session.ttl, file)
    return _read(session.store.ask(*script("attach", of, args)))


def look_up(session: Session, name: str) -> Entry | None:
    """Find a name without holding anything."""
    return _read(session.store.ask("HGET", session.keys("segments"), name))


def unlink(session: Session, name: str) -> tuple[Entry, int] | None:
    """Take a name away; returns what it stood for and how many hold that still."""
    keys = session.keys
    parts = ("segments", "objects", "keys")
    names, objects, every = (keys(part) for part in parts)
    of = (names, keys("holds", NAMES), objects, keys("inbox", session.client), every)
    client = "client" if session.uid == session.client else ""
    answer = session.store.ask(*script("unlink", of, (name, keys.any_object, session.ttl, client, keys.base)))
    if answer is None:
        return None
    entry = _read(answer[0])
    assert entry is not None
    return entry, int(answer[1])


def moved(session: Session, name: str, before: Entry, after: Entry) -> Command:
    """The contents have come to the store."""
    return script("moved", (session.keys("segments"),), (name, str(before), str(after)))


def _read(value: bytes | None) -> Entry | None:
    if value is None:
        return None
    found = _ENTRY.fullmatch(value)
    if found is None:
        raise UntrustedPayloadError(
            "what the store says of a SharedMemory's name makes no sense: something else writes to this "
            "Redis under our keys"
        )
    oid, size, where = found.groups()
    return Entry(oid.decode(), int(size), where.decode())


#: "OID SIZE WHERE"; no size beyond what any machine can map.
_ENTRY = re.compile(rb"([0-9a-f]{16}) ([0-9]{1,15}) (client|file|store)")
