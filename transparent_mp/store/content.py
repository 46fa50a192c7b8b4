"""Payloads of any size in a message: inline when small, a blob of their own when large.

    message = TAG KIND REST       tag over KIND and content, for the place the message is sent to
    KIND "I"  REST is the content
    KIND "B"  REST is the name of a blob, whose chunks are the content; the receiver deletes it, or
              whoever lets go of a message that nobody will read (lua/include/objects.lua)
    KIND "D"  REST is the SHA-256 of the content, which lies in the session's depot
    KIND "i", "b", "d"  as these, behind the name of a list into which the receiver pushes a token

Behind the name in REST stand the tokens in the content by which it holds for its receiver, so that they can
be let go of with a message whose content is elsewhere.

A blob keeps lists light: a reader that only looks whether a message is there does not move
megabytes, and no value comes near the store's limit of 512 MB.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Sequence

from transparent_mp.errors import DepotError
from transparent_mp.store.depot import LARGE, Depot
from transparent_mp.store.link import Command
from transparent_mp.store.scripts import script
from transparent_mp.store.seal import TAG, Buffer
from transparent_mp.store.session import ID, Session, new_id

#: Contents from this size on become blobs. Larger: looking at a message costs more; smaller: the
#: second round trip that fetches a blob is felt.
BLOB = 256 * 1024
#: Size of a blob's chunks: far below the store's limit, far above what a command costs.
CHUNK = 32 * 1024 * 1024

#: What stands in a pickle for a hold until its receiver takes it over (primitives/sharing.py makes them).
TOKENS = re.compile(rb"token-[0-9a-f]{%d}" % ID)
#: Length of a SHA-256 in hexadecimal.
DIGEST = 64


def pack(
    session: Session, place: str, content: Buffer, ack: str = "", *, holds: bool = False, name: str = ""
) -> tuple[Sequence[Command], bytes]:
    """Return the commands to send first, and the message.

    `ack`: name of the list that is to get a token when the message is taken. `holds`: there are tokens in the
    content. `name`: that of its blob, if whoever deletes it unread knows no other.
    """
    if len(content) < BLOB:
        kind = b"i" + ack.encode() if ack else b"I"
        return (), b"".join((session.seal.tag(place, kind, content), kind, content))
    tokens = b"".join(TOKENS.findall(content)) if holds else b""
    if goes_to_depot(session, len(content)):
        kind = b"d" + ack.encode() if ack else b"D"
        digest = hashlib.sha256(content).hexdigest()
        commands = deposit(session, digest, content)
        return commands, b"".join(
            (session.seal.tag(place, kind, digest.encode()), kind, digest.encode(), tokens)
        )
    kind = b"b" + ack.encode() if ack else b"B"
    name = name or new_id()
    key = session.keys("blob", name)
    view = memoryview(content)
    commands = [("RPUSH", key, view[at : at + CHUNK]) for at in range(0, len(view), CHUNK)]
    commands += [("PEXPIRE", key, session.ttl), ("SADD", session.keys("keys"), key)]
    return commands, b"".join((session.seal.tag(place, kind, view), kind, name.encode(), tokens))


def unpack(session: Session, place: str, message: bytes) -> Buffer:
    """Return the content. Raises UntrustedPayloadError when it was not made for `place` by this session."""
    at = TAG + (1 + ID if message[TAG : TAG + 1].islower() else 1)
    kind, rest = message[TAG:at], memoryview(message)[at:]
    content: Buffer = rest
    if kind[:1] in (b"B", b"b"):
        key = session.keys("blob", bytes(rest[:ID]).decode("ascii", "replace"))
        content = _chunks(session, key)
        session.store.cast(("UNLINK", key), ("SREM", session.keys("keys"), key))
    elif kind[:1] in (b"D", b"d"):
        content = rest[:DIGEST]
    session.seal.check(place, message[:TAG], kind, content)
    if kind[:1] in (b"D", b"d"):
        content = b"".join(withdraw(session, bytes(content).decode()))
    if len(kind) > 1:
        key = session.keys("ack", kind[1:].decode())
        session.store.cast(script("acknowledge", (key, session.keys("keys")), (session.ttl,)))
    return content


def _chunks(session: Session, key: str) -> Buffer:
    """What lies there, one chunk at a time: neither side holds it twice."""
    chunk, count = session.store.call(("LINDEX", key, 0), ("LLEN", key))
    if count == 1:
        return bytes(chunk)
    whole = io.BytesIO()
    for at in range(1, count + 1):
        whole.write(chunk)
        if at < count:
            chunk = session.store.ask("LINDEX", key, at)
    return whole.getvalue()


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
