"""Payloads of any size in a message: inline when small, a blob of their own when large.

    message = TAG KIND REST       tag over KIND and content, for the place the message is sent to
    KIND "I"  REST is the content
    KIND "B"  REST is the name of a blob, whose chunks are the content; the receiver deletes it
    KIND "D"  REST is the SHA-256 of the content, which lies in the session's depot
    KIND "i", "b", "d"  as these, behind the name of a list into which the receiver pushes a token

A blob keeps lists light: a reader that only looks whether a message is there does not move
megabytes, and no value comes near the store's limit of 512 MB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from transparent_mp.errors import DepotError
from transparent_mp.store.depot import LARGE, Depot
from transparent_mp.store.link import Command
from transparent_mp.store.seal import TAG, Buffer
from transparent_mp.store.session import ID, Session, new_id

#: Contents from this size on become blobs. Larger: looking at a message costs more; smaller: the
#: second round trip that fetches a blob is felt.
BLOB = 256 * 1024
#: Size of a blob's chunks: far below the store's limit, far above what a command costs.
CHUNK = 32 * 1024 * 1024


def pack(session: Session, place: str, content: Buffer, ack: str = "") -> tuple[Sequence[Command], bytes]:
    """Return the commands to send first, and the message.

    `ack`: name of the list that is to get a token when the message is taken.
    """
    if len(content) < BLOB:
        kind = b"i" + ack.encode() if ack else b"I"
        return (), b"".join((session.seal.tag(place, kind, content), kind, content))
    if goes_to_depot(session, len(content)):
        kind = b"d" + ack.encode() if ack else b"D"
        name = hashlib.sha256(content).hexdigest()
        commands = deposit(session, name, content)
        return commands, session.seal.tag(place, kind, name.encode()) + kind + name.encode()
    kind = b"b" + ack.encode() if ack else b"B"
    name = new_id()
    key = session.keys("blob", name)
    view = memoryview(content)
    commands = in_chunks(key, view)
    commands += [("PEXPIRE", key, session.ttl), ("SADD", session.keys("keys"), key)]
    return commands, session.seal.tag(place, kind, view) + kind + name.encode()


def in_chunks(key: str, view: memoryview) -> list[Command]:
    """Commands that store a content in a hash: a second time they change nothing."""
    return [
        ("HSET", key, number, view[at : at + CHUNK]) for number, at in enumerate(range(0, len(view), CHUNK))
    ]


def unpack(session: Session, place: str, message: bytes) -> Buffer:
    """Return the content. Raises UntrustedPayloadError when it was not made for `place` by this session."""
    at = TAG + (1 + ID if message[TAG : TAG + 1].islower() else 1)
    kind, rest = message[TAG:at], memoryview(message)[at:]
    content: Buffer = rest
    if kind[:1] in (b"B", b"b"):
        key = session.keys("blob", bytes(rest).decode("ascii", "replace"))
        found = session.store.ask("HGETALL", key)
        # Only now: should the answer be lost, it is asked for again.
        session.store.cast(("DEL", key), ("SREM", session.keys("keys"), key))
        chunks = {int(number): chunk for number, chunk in zip(found[::2], found[1::2])}
        content = chunks[0] if len(chunks) == 1 else b"".join(chunks[number] for number in sorted(chunks))
    session.seal.check(place, message[:TAG], kind, content)
    if kind[:1] in (b"D", b"d"):
        content = b"".join(withdraw(session, bytes(content).decode()))
    if len(kind) > 1:
        key = session.keys("ack", kind[1:].decode())
        session.store.cast(
            ("RPUSH", key, b"1"), ("PEXPIRE", key, session.ttl), ("SADD", session.keys("keys"), key)
        )
    return content


def goes_to_depot(session: Session, size: int) -> bool:
    """Whether a content of that size lies in the depot."""
    return session.depot is not None and size >= LARGE


def deposit(session: Session, digest: str, content: Buffer) -> list[Command]:
    """Put a content into the depot; returns the commands that note that there is something to clear."""
    _depot(session).put(digest, content)
    key = session.keys("depot")
    return [("SET", key, 1, "PX", session.ttl), ("SADD", session.keys("keys"), key)]


def withdraw(session: Session, digest: str) -> Iterator[bytes]:
    """The content of that digest in pieces, from the depot."""
    return _depot(session).stream(digest)


def _depot(session: Session) -> Depot:
    if session.depot is None:
        raise DepotError(f"a content lies in the bucket {session.bucket!r}, which this process was not given")
    return session.depot
