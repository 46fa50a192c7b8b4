"""Tracts: neighbouring blocks of a large segment that one process writes, whole, again and again.

Who computes in rounds has the same blocks changed each time, nearly every byte of them. What such a process
publishes is one string for all of them (`parts`), and no byte is looked at for whether it changed: the store
would have to know only if somebody else had written there meanwhile, and then it compares with what the
process published before, which it keeps (store/lua/publish_large.lua).

    watched   written whole, so many times in turn
    held      published as a tract; what the process published there last is what it knows of it
    left      others have written there, or the process wrote something else: the store is told with the next
              publication that what it keeps is not needed any more

It publishes nothing itself: `replica` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import ne
from typing import Any, NamedTuple

from transparent_mp.errors import UntrustedPayloadError
from transparent_mp.primitives.bulk import MOST
from transparent_mp.primitives.diff import BLOCK, FOREIGN, LEFT, Entry, Tract

#: Blocks from which it is one.
LEAST = 4
#: Times in turn that it is written whole before it is one, and at most, after some were left again and
#: again: taking one apart costs the store more than it saves once.
ROUNDS, PATIENCE = 1, 1024
#: Other writers of a segment up to which there are any. More: each publication reads of more tracts.
WRITERS = 8
#: Blocks of a span that others write as well, or of which little is written, up to which the rest is made a
#: tract: a part has edges.
EDGES = 2
#: Bytes between those that are looked at to see whether a tract was written whole, so many that they fall on
#: every byte of a double in turn; of how many of them one has to be another; and how often in turn less of a
#: tract may be, as when it is published in the background while it is being written.
STEP, DENSE, OFTEN = 509, 8, 4


class Watched:
    """What was written whole."""

    __slots__ = ("held", "rounds", "sparse", "stop")

    def __init__(self, stop: int) -> None:
        self.stop = stop
        self.rounds = 0
        self.held = False
        #: Times in turn that little of it was written.
        self.sparse = 0


class Tracts:
    """Those of one process in one segment. No span that it is told of crosses a multiple of `bulk.MOST`."""

    __slots__ = ("_apart", "_left", "_needed", "_watched")

    def __init__(self) -> None:
        # Number of MOST blocks -> the first block of a span in them -> what is known of it.
        self._watched: dict[int, dict[int, Watched]] = {}
        # Blocks of what was watched that others have written, or of which little was.
        self._apart: set[int] = set()
        self._needed = ROUNDS
        self._left: list[int] = []

    def cut(self, first: int, stop: int) -> Iterable[tuple[int, int]]:
        """A span in pieces: cut where tracts begin and end, and around a few blocks that are of none."""
        edges: set[int] = set()
        for start, one in self._watched.get(first // MOST, {}).items():
            if one.held:
                edges.update((start, one.stop))
        apart = self._apart.intersection(range(first, stop)) if self._apart else ()
        if len(apart) <= EDGES:
            edges.update(edge for block in apart for edge in (block, block + 1))
        points = sorted(edge for edge in edges if first < edge < stop)
        return zip([first, *points], [*points, stop])

    def around(self, first: int, stop: int) -> tuple[int, int] | None:
        """The tract of which these blocks are a part."""
        for start, one in self._watched.get(first // MOST, {}).items():
            if one.held and start <= first and stop <= one.stop:
                return start, one.stop
        return None

    def again(self, first: int, stop: int, old: bytes, now: bytes) -> Entry | None:
        """The entry for a tract that was written once more; None where that was little, and often."""
        found = self._watched[first // MOST][first]
        was, has = old[::STEP], now[::STEP]
        found.sparse = 0 if sum(map(ne, was, has)) * DENSE >= len(has) else found.sparse + 1
        return None if found.sparse > OFTEN else (first, Tract(stop - first, old, ()), now)

    def seen(self, first: int, stop: int, entries: list[Entry], old: bytes, now: bytes) -> list[Entry]:
        """The entries for such blocks, or the one that makes a tract of them."""
        watched = self._watched.setdefault(first // MOST, {})
        self._forget(watched, first, stop, but=first)
        found = watched.setdefault(first, Watched(stop))
        if found.stop != stop or found.held or not _whole(entries, stop - first):
            self._forget(watched, first, stop)
            sparse = {block for block, where, _ in entries if where.__class__ is int}
            if len(sparse) <= EDGES:
                self._apart |= sparse
            return entries
        found.rounds += 1
        if found.rounds <= self._needed:
            return entries
        found.held = True
        # Of one that is whole, all.
        masks = tuple(
            where[1:] if isinstance(where, bytes) else b"\xff" * (BLOCK // 8) for _, where, _ in entries
        )
        return [(first, Tract(stop - first, old, masks), now)]

    def touched(self, first: int, stop: int) -> None:
        """Others have written some of these blocks."""
        if self._watched:
            for number in range(first // MOST, (stop - 1) // MOST + 1):
                watched = self._watched.get(number, {})
                for start, one in watched.items():
                    self._apart.update(range(max(first, start), min(stop, one.stop)))
                self._forget(watched, first, stop)

    def left(self) -> list[Entry]:
        """Entries that tell the store of those that were left since the last time."""
        left, self._left = self._left, []
        if left:
            self._needed = min(2 * self._needed, PATIENCE)
        return [(first, LEFT, b"") for first in left]

    def _forget(self, watched: dict[int, Watched], first: int, stop: int, but: int = -1) -> None:
        """Those that have one of the blocks."""
        for start in [start for start, one in watched.items() if start < stop and first < one.stop]:
            if start != but and watched.pop(start).held:
                self._left.append(start)


class Held(NamedTuple):
    """A tract as the store has it; its versions mean what a block's do."""

    first: int
    stop: int
    last: int
    other: int
    writer: str
    name: str


def held(text: Any) -> Iterator[Held]:
    """Those of a segment, from the store's words for them."""
    try:
        for words in (text or b"").decode().split(";")[:-1]:
            first, stop, last, other, writer, name, state = words.split(" ")
            if not 0 <= int(first) < int(stop):
                raise ValueError(words)
            if state != "G":
                yield Held(int(first), int(stop), int(last), int(other), writer, name)
    except (ValueError, AttributeError):
        raise UntrustedPayloadError(FOREIGN) from None


def _whole(entries: Sequence[Entry], count: int) -> bool:
    return LEAST <= count == len(entries) and all(where.__class__ is not int for _, where, _ in entries)
