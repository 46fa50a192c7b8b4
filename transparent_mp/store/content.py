"""Payloads of any size in a message: inline when small, a blob of their own when large.

    message = TAG NUMBER KIND REST    tag over all that follows, for the place the message is sent to
    KIND "I"  REST is the content
    KIND "P"  REST is the layout of pieces (`pieces`), and what of them does not lie elsewhere
    KIND "B"  REST is the name of a blob and the layout of the pieces that are its chunks; the receiver
              deletes it, or whoever lets go of a message that nobody will read (lua/include/objects.lua)
    KIND "D"  REST is the SHA-256 of the content, which lies in the session's depot, and the layout of its
              pieces if there are several
    KIND "i", "p", "b", "d"  as these, behind the name of a list into which the receiver pushes a token

Behind these in REST of "B" and "D" stand the tokens in the content by which it holds for its receiver, so
that they can be let go of with a message whose content is elsewhere.

A blob keeps lists light: a reader that only looks whether a message is there does not move
megabytes, and no value comes near the store's limit of 512 MB.

Nothing that a message names is fetched, and no token pushed, before its tag and its number were found
to be right.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence

from transparent_mp.errors import DepotError, UntrustedPayloadError
from transparent_mp.store.depot import LARGE, Depot
from transparent_mp.store.link import Command
from transparent_mp.store.pieces import (
    Entry,
    Payload,
    Piece,
    Pieces,
    divided,
    entries,
    filled,
    laid_out,
    layout,
)
from transparent_mp.store.replay import NUMBER, Numbers, Seen
from transparent_mp.store.scripts import script
from transparent_mp.store.seal import TAG, Buffer
from transparent_mp.store.session import ID, Session, new_id

#: Contents from this size on become blobs. Larger: looking at a message costs more; smaller: the
#: second round trip that fetches a blob is felt.
BLOB = 256 * 1024
#: Size of a chunk. Larger: the store makes its answers in fresh memory, page by page; smaller: more round
#: trips, and what a line copies so as to send it again.
CHUNK = 2 * 1024 * 1024

#: What stands in a pickle for a hold until its receiver takes it over (primitives/sharing.py makes them).
TOKENS = re.compile(rb"token-[0-9a-f]{%d}" % ID)
#: Length of a SHA-256 in hexadecimal.
DIGEST = 64


def pack(
    session: Session,
    place: str,
    content: Payload,
    ack: str = "",
    numbers: Numbers | None = None,
    *,
    holds: bool = False,
    name: str = "",
) -> tuple[Sequence[Command], bytes]:
    """Return the commands to send first, and the message.

    `ack`: name of the list that is to get a token when the message is taken. `numbers`: of the end that
    sends, if it has some. `holds`: there are tokens in the content. `name`: that of its blob, if whoever
    deletes it unread knows no other.
    """
    number = (numbers or session.numbers).next(session.uid)
    commands: Sequence[Command] = ()
    rest: Buffer
    if isinstance(content, Pieces):
        commands, kind, rest = _in_pieces(session, content.pieces, name or new_id(), holds)
    elif len(content) < BLOB:
        kind, rest = b"I", content
    else:
        commands, kind, rest = _in_pieces(session, (Piece(content),), name or new_id(), holds)
    if ack:
        kind = kind.lower() + ack.encode()
    return commands, b"".join((session.seal.tag(place, number, kind, rest), number, kind, rest))


def unpack(session: Session, place: str, message: bytes, seen: Seen | None = None) -> Payload:
    """Return the content. `seen`: what the end that receives has had.

    Raises UntrustedPayloadError when it was not made for `place` by this session, or was received before.
    """
    at = TAG + NUMBER
    # Not by session.counting(), which is four calls: every message passes here.
    try:
        session.seal.check(place, message[:TAG], memoryview(message)[TAG:])
        if seen is not None and not seen.first(message[TAG:at]):
            raise UntrustedPayloadError(
                f"a message at {place!r} was received before: something else has put it there again, with "
                "access to this Redis; it was not used"
            )
        kind = message[at : at + 1]
        if kind == b"I":
            # Nearly every one.
            return memoryview(message)[at + 1 :]
        end = at + (1 + ID if kind.islower() else 1)
        kind, rest = message[at:end], memoryview(message)[end:]
        content: Payload = rest
        if kind[:1] in (b"B", b"b"):
            content = _fetch(session, bytes(rest[:ID]).decode(), entries(rest[ID:])[0])
        elif kind[:1] in (b"P", b"p"):
            content = divided(*entries(rest))
    except UntrustedPayloadError:
        session.refused()
        raise
    if kind[:1] in (b"D", b"d"):
        whole = b"".join(withdraw(session, bytes(rest[:DIGEST]).decode()))
        content = divided(entries(rest[DIGEST:])[0], whole)
    if len(kind) > 1:
        key = session.keys("ack", kind[1:].decode())
        session.store.cast(script("acknowledge", (key, session.keys("keys")), (session.ttl,)))
    return content


def is_whole(message: bytes) -> bool:
    """Whether its content stands in it and nobody is told that it was taken: unpack() can be repeated."""
    return message[TAG + NUMBER : TAG + NUMBER + 1] == b"I"


def at_hand(session: Session, place: str, message: bytes) -> memoryview | None:
    """The content of one that is whole, and right; None for another, of which unpack() says what it is."""
    if not is_whole(message):
        return None
    try:
        session.seal.check(place, message[:TAG], memoryview(message)[TAG:])
    except UntrustedPayloadError:
        return None
    return memoryview(message)[TAG + NUMBER + 1 :]


def unpack_whole(session: Session, place: str, message: bytes) -> Buffer:
    """The same of a content that was not sent in pieces."""
    content = unpack(session, place, message)
    if isinstance(content, Pieces):
        raise UntrustedPayloadError(f"a message at {place!r} is in pieces, which are not sent there")
    return content


def in_chunks(key: str, view: memoryview, first: int = 0) -> list[Command]:
    """Commands that store a content in a hash, from a number on: a second time they change nothing."""
    starts = range(0, len(view), CHUNK)
    return [("HSET", key, number, view[at : at + CHUNK]) for number, at in enumerate(starts, first)]


def _in_pieces(
    session: Session, pieces: Sequence[Piece], name: str, holds: bool
) -> tuple[Sequence[Command], bytes, bytes]:
    """The commands to send first, KIND and REST."""
    own = [piece.buffer for piece in pieces if not piece.elsewhere]
    size = sum(map(len, own))
    commands: Sequence[Command] = ()
    if goes_to_depot(session, size):
        alone = len(pieces) == 1
        whole = own[0] if alone else b"".join(own)
        digest = hashlib.sha256(whole).hexdigest()
        commands = deposit(session, digest, whole)
        kind, rest = b"D", digest.encode() + layout(() if alone else pieces)
    elif size < BLOB:
        # Its tokens stand in it.
        return (), b"P", b"".join((layout(pieces), *own))
    else:
        commands, rest = _blob(session, pieces, size, name)
        kind = b"B"
    if holds:
        rest += b"".join(token for one in pieces if one.streams for token in TOKENS.findall(one.buffer))
    return commands, kind, rest


def _blob(session: Session, pieces: Sequence[Piece], size: int, name: str) -> tuple[list[Command], bytes]:
    key = session.keys("blob", name)
    expire: Command = ("PEXPIRE", key, session.ttl)
    # It is known, and has a life, before any of its content comes: who sends that may be killed meanwhile.
    # And after it: sent again for a lost answer, it may come when the receiver has deleted the blob.
    commands: list[Command] = [("SADD", session.keys("keys"), key), ("HSET", key, "size", size), expire]
    known, number = [], 0
    for piece in pieces:
        known.append(piece.digested())
        if not piece.elsewhere:
            chunks = in_chunks(key, memoryview(piece.buffer), number)
            commands += chunks
            number += len(chunks)
    return [*commands, expire], name.encode() + layout(known)


def _fetch(session: Session, name: str, found: Sequence[Entry]) -> Payload:
    key, number, right = session.keys("blob", name), 0, True
    rooms = list(laid_out(found))
    for entry, room in rooms:
        if not entry.elsewhere:
            digest = _load(session, key, number, room)
            number += -(-entry.size // CHUNK)
            right = right and digest == entry.digest
    # Only now: should an answer be lost, it is asked for again.
    session.store.cast(("UNLINK", key), ("SREM", session.keys("keys"), key))
    if not right:
        raise UntrustedPayloadError(
            f"a large message's content at {key!r} is gone or another than was sent; it was not unpickled"
        )
    return filled(rooms)


def _load(session: Session, key: str, first: int, into: memoryview) -> bytes:
    """Read the chunks from that number on, and answer what their digest is."""
    found, store = hashlib.sha256(), session.store
    # One chunk by itself: neither side holds all of them twice. No more than what the sender has put there.
    parts = [into[at : at + CHUNK] for at in range(0, len(into), CHUNK)]
    gets: list[Command] = [("HGET", key, number) for number in range(first, first + len(parts))]
    for here, get, part in zip(store.load(list(zip(gets, parts))), gets, parts):
        if not here:
            chunk = store.ask(*get) or b""
            if len(chunk) != len(part):
                return b""
            part[:] = chunk
        # While the processor has it at hand.
        found.update(part)
    return found.digest()


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
