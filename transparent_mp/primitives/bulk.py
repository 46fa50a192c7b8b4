"""What `diff` does, for many neighbouring blocks at once and with numpy: entries and merging at memory speed.

For programs that have loaded numpy, whose arrays change by the megabyte: a block costs a few
microseconds instead of fifty. The entries are those that `diff` would make, and a merge leaves what
its merge would leave.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from transparent_mp.primitives import diff
from transparent_mp.primitives.diff import Entry

#: Neighbouring blocks from which it is worth the calls.
WORTH = 2
#: Blocks at once. More: what is compared does not stay in the processor's cache; fewer: more calls.
MOST = 64


def entries(numpy: Any, first: int, old: bytes, new: bytes) -> list[Entry]:
    """What changed in the blocks from `first` on; the last may be short."""
    size = diff.BLOCK
    wide = -(-len(new) // size) * size
    differs = _bytes(numpy, old.ljust(wide, b"\0")) != _bytes(numpy, new.ljust(wide, b"\0"))
    differs = differs.reshape(-1, size)
    begins = differs.copy()
    begins[:, 1:] &= ~differs[:, :-1]
    counts, runs = _counts(numpy, differs), _counts(numpy, begins)
    masks = numpy.packbits(differs, axis=1).tobytes()
    length = -(-size // 8)
    found: list[Entry] = []
    for at, count in enumerate(counts):
        start = at * size
        if count == min(size, len(new) - start):
            found.append((first + at, "=", new[start : start + size]))
        elif runs[at] > diff.RUNS:
            mask = masks[at * length : (at + 1) * length]
            found.append((first + at, b"m" + mask, new[start : start + size]))
        elif count:
            found += diff.entries(first + at, old[start : start + size], new[start : start + size])
    return found


def merge(numpy: Any, view: memoryview, twin: memoryview, theirs: bytes) -> None:
    """Bring what others made of a span into `view`; bytes changed here since the last exchange stay."""
    mine, before, new = _bytes(numpy, view), _bytes(numpy, twin), _bytes(numpy, theirs)
    wanted = mine != new
    wanted &= mine == before
    # Only these are written: another thread may be writing those beside them.
    numpy.copyto(mine, new, where=wanted)
    before[:] = new


def spans(blocks: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Neighbouring blocks together, from the first to the one behind the last; cut at multiples of MOST."""
    first = stop = -1
    for block in blocks:
        if block == stop and block % MOST:
            stop += 1
            continue
        if stop > first:
            yield first, stop
        first, stop = block, block + 1
    if stop > first:
        yield first, stop


def _counts(numpy: Any, flags: Any) -> list[int]:
    """How many are set in each row. Eight at a time, of at most 128 words each: no byte of a sum is full."""
    words = flags.view(numpy.uint64)
    sums = words.reshape(len(flags), -1, min(128, words.shape[1])).sum(axis=2)
    counts: list[int] = sums.view(numpy.uint8).reshape(len(flags), -1).sum(axis=1, dtype=int).tolist()
    return counts


def _bytes(numpy: Any, buffer: Any) -> Any:
    return numpy.frombuffer(buffer, numpy.uint8)
