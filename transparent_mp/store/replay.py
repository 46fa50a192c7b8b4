"""Numbers under the seal, by which a receiver knows a payload that it has had before.

    number    STREAM (8 random bytes, for one sender and one end) + COUNT (8 bytes, from 0 on)

A process that was forked counts in a stream of its own. Payloads of a stream may come out of order
(several threads send, several processes receive, one is put back), so a receiver remembers every count
that it has had, as far as SPAN behind the latest; what is older than that it refuses as well.

What one receiver of an end has had, another does not know: what was taken by one and is brought to
another is not seen here.
"""

from __future__ import annotations

import itertools
import os
import struct
import threading

#: Length of a number.
NUMBER = 16

_LAYOUT = struct.Struct("<8sQ")

#: Counts remembered together, as bits of one number.
_CHUNK = 1024
_FULL = (1 << _CHUNK) - 1
#: Larger: more memory (a bit for each count); smaller: less may overtake a message that is put back.
SPAN = 1 << 20
#: Streams remembered for one end. Larger: 300 bytes each; smaller: an old one may be replayed sooner.
STREAMS = 10_000


class Numbers:
    """The numbers that one process gives out for one end. Thread-safe but for `several`."""

    __slots__ = ("_runs", "_stream")

    def __init__(self) -> None:
        self._stream = ("", b"", itertools.count())
        # Where the next run begins: in a stream of its own, as a thread can take only one of a count at once.
        self._runs = ("", b"", 0)

    def next(self, uid: str) -> bytes:
        """One that was never given out. `uid`: of this process, in which a forked child differs."""
        stream = self._stream
        if stream[0] != uid:
            # Of two threads here at once each uses its own.
            stream = self._stream = (uid, os.urandom(8), itertools.count())
        return _LAYOUT.pack(stream[1], next(stream[2]))

    def several(self, uid: str, count: int) -> bytes:
        """The first of so many, one after the other, that were never given out. For one thread."""
        of, stream, first = self._runs
        if of != uid:
            stream, first = os.urandom(8), 0
        self._runs = uid, stream, first + count
        return _LAYOUT.pack(stream, first)


class Seen:
    """The numbers that one process has received at one end. Thread-safe."""

    __slots__ = ("_streams",)

    def __init__(self) -> None:
        self._streams: dict[bytes, _Had] = {}

    def first(self, number: bytes | memoryview) -> bool:
        """Whether this is the first time for that number."""
        stream, count = _LAYOUT.unpack(number)
        with _Guard.lock:
            return self._had(stream).add(count)

    def all_first(self, number: bytes | memoryview, begin: int, end: int) -> bool:
        """The same for all that are so much further in its stream."""
        stream, count = _LAYOUT.unpack(number)
        with _Guard.lock:
            return self._had(stream).add_all(count + begin, count + end)

    def put_back(self, number: bytes | memoryview, begin: int, end: int) -> None:
        """Those were not opened, and may come again."""
        stream, count = _LAYOUT.unpack(number)
        with _Guard.lock:
            self._had(stream).remove(count + begin, count + end)

    def _had(self, stream: bytes) -> _Had:
        had = self._streams.get(stream)
        if had is None:
            if len(self._streams) >= STREAMS:
                del self._streams[next(iter(self._streams))]
            had = self._streams[stream] = _Had()
        return had


class _Guard:
    """Held while what was received is noted."""

    lock = threading.Lock()


def _after_fork_in_child() -> None:
    # A thread that stayed with the parent may have held it.
    _Guard.lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork_in_child)


class _Had:
    """Counts: all below `_floor`, and of those above the bits of the chunks."""

    __slots__ = ("_chunks", "_floor")

    def __init__(self) -> None:
        self._floor = 0
        self._chunks: dict[int, int] = {}

    def add(self, count: int) -> bool:
        floor, chunks = self._floor, self._chunks
        index = count // _CHUNK
        if count == floor and index not in chunks:
            self._floor = floor + 1
            return True
        if count < floor:
            return False
        bits = chunks.get(index)
        if bits is None:
            bits = (1 << (floor % _CHUNK)) - 1 if floor // _CHUNK == index else 0
        bit = 1 << (count % _CHUNK)
        if bits & bit:
            return False
        chunks[index] = bits | bit
        while chunks.get(self._floor // _CHUNK) == _FULL:
            del chunks[self._floor // _CHUNK]
            self._floor = (self._floor // _CHUNK + 1) * _CHUNK
        if len(chunks) > SPAN // _CHUNK:
            lowest = min(chunks)
            del chunks[lowest]
            self._floor = (lowest + 1) * _CHUNK
        return True

    def add_all(self, begin: int, end: int) -> bool:
        """add() each; False when one was there."""
        index = begin // _CHUNK
        if begin > self._floor and index == (end - 1) // _CHUNK and index in self._chunks:
            # All at once where that is easily said.
            mask = ((1 << (end - begin)) - 1) << (begin % _CHUNK)
            bits = self._chunks[index]
            if not bits & mask and bits | mask != _FULL:
                self._chunks[index] = bits | mask
                return True
        new = [self.add(count) for count in range(begin, end)]
        return all(new)

    def remove(self, begin: int, end: int) -> None:
        chunks, floor = self._chunks, self._floor
        if begin < floor:
            # What was below the floor is told by bits.
            self._floor = begin
            for index in range(begin // _CHUNK, floor // _CHUNK + 1):
                below = (1 << min(_CHUNK, floor - index * _CHUNK)) - 1
                chunks[index] = chunks.get(index, 0) | below
        for count in range(begin, end):
            index = count // _CHUNK
            if index in chunks:
                chunks[index] &= ~(1 << (count % _CHUNK))
