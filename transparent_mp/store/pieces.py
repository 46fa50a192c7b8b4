"""A content in pieces, each of which lies where it is until it is written, and is read to where it shall lie.

    stream       pieces that make a pickle, one behind the other
    apart        buffers that the pickle refers to by their place among those apart
    elsewhere    a piece of either kind that the session has by its digest, and the message only names

    layout = COUNT (4 bytes), of each piece SIZE (8), SHA-256 (32), KIND (1)

It does not know how pieces are sent, nor what refers to them.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Union

from transparent_mp.store.seal import Buffer

_COUNT = struct.Struct("<I")
_ENTRY = struct.Struct("<Q32sB")
_APART, _ELSEWHERE = 1, 2

#: Bytes from which on memory that is to be written anyway is not cleared first.
LARGE = 64 * 1024


class Piece(NamedTuple):
    """One of them. At who reads a message, `buffer` is empty when it lies elsewhere."""

    buffer: Buffer
    apart: bool = False
    elsewhere: bool = False
    #: Its SHA-256, as far as it is known.
    digest: bytes = b""

    @property
    def streams(self) -> bool:
        """Whether it is a part of the pickle that goes with the message."""
        return not (self.apart or self.elsewhere)

    def digested(self) -> Piece:
        """With its digest."""
        return self if self.digest else self._replace(digest=hashlib.sha256(self.buffer).digest())


class Pieces:
    """They, in their order."""

    __slots__ = ("_size", "pieces")

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces = tuple(pieces)
        self._size = sum(len(piece.buffer) for piece in self.pieces)

    def __len__(self) -> int:
        """Bytes of them all."""
        return self._size

    @property
    def own(self) -> int:
        """Bytes of those that go with the message."""
        return sum(len(piece.buffer) for piece in self.pieces if not piece.elsewhere)

    @property
    def stream(self) -> Buffer:
        """The pickle."""
        found = [piece.buffer for piece in self.pieces if not piece.apart]
        return found[0] if len(found) == 1 else b"".join(found)

    @property
    def apart(self) -> list[Buffer]:
        """The buffers that it refers to."""
        return [piece.buffer for piece in self.pieces if piece.apart]


#: What a message may carry.
Payload = Union[Buffer, Pieces]


class Entry(NamedTuple):
    """What the layout says of a piece."""

    size: int
    digest: bytes
    apart: bool
    elsewhere: bool


def layout(pieces: Sequence[Piece]) -> bytes:
    """What a message says of them."""
    said = [
        _ENTRY.pack(len(one.buffer), one.digest, _APART * one.apart + _ELSEWHERE * one.elsewhere)
        for one in pieces
    ]
    return b"".join((_COUNT.pack(len(said)), *said))


def entries(rest: memoryview) -> tuple[list[Entry], memoryview]:
    """What a message says of its pieces, and what stands behind that."""
    (count,) = _COUNT.unpack_from(rest)
    end = _COUNT.size + count * _ENTRY.size
    found = [
        Entry(size, digest, bool(kind & _APART), bool(kind & _ELSEWHERE))
        for size, digest, kind in _ENTRY.iter_unpack(rest[_COUNT.size : end])
    ]
    return found, rest[end:]


def laid_out(found: Sequence[Entry]) -> Iterator[tuple[Entry, memoryview]]:
    """Room for each piece that comes with a message; neighbours of the stream lie one behind the other."""
    for streams, group in itertools.groupby(found, lambda one: not (one.apart or one.elsewhere)):
        together = list(group)
        if streams:
            room, at = memoryview(bytearray(sum(one.size for one in together))), 0
            for one in together:
                yield one, room[at : at + one.size]
                at += one.size
        else:
            for one in together:
                yield one, _room(0 if one.elsewhere else one.size)


def _room(size: int) -> memoryview:
    """Memory to read into: of a program with numpy an array's, which nobody clears first."""
    numpy = sys.modules.get("numpy")
    if numpy is None or size < LARGE:
        return memoryview(bytearray(size))
    return memoryview(numpy.empty(size, "u1"))


def filled(rooms: Sequence[tuple[Entry, memoryview]]) -> Payload:
    """The content, when the pieces have been read to where they were laid out."""
    pieces: list[Piece] = []
    for entry, room in rooms:
        streams = not (entry.apart or entry.elsewhere)
        # Of one room for several the first stands for all.
        if not (streams and pieces and pieces[-1].streams):
            whole = memoryview(room.obj) if streams else room
            pieces.append(Piece(whole, entry.apart, entry.elsewhere, entry.digest))
    return pieces[0].buffer if len(pieces) == 1 and pieces[0].streams else Pieces(pieces)


def divided(found: Sequence[Entry], content: Buffer) -> Payload:
    """The same of pieces that came one behind the other in `content`."""
    if not any(one.apart or one.elsewhere for one in found):
        return content
    rooms, at = list(laid_out(found)), 0
    for _, room in rooms:
        room[:] = memoryview(content)[at : at + len(room)]
        at += len(room)
    return filled(rooms)
