"""Brings what others made of blocks into the memory of a replica.

It does not know where the blocks come from, nor which versions they are of.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from transparent_mp.primitives import bulk, diff
from transparent_mp.primitives.alone import is_alone
from transparent_mp.primitives.diff import BLOCK
from transparent_mp.primitives.parts import Part, blocks
from transparent_mp.primitives.twins import LargeTwin, SmallTwin

#: Bytes of a block up to which only those that differ are written, whether a thread is alone or not. More:
#: their runs cost more than it does to find out.
LITTLE = 512


class Merging:
    """One merge."""

    __slots__ = ("_alone", "away", "fresh", "twin", "view")

    def __init__(
        self, view: memoryview, twin: SmallTwin | LargeTwin, away: Iterable[Part], *, fresh: bool
    ) -> None:
        """`away`: parts of ours that it may be older than. `fresh`: nobody has the memory, which is zeros."""
        self.view = view
        self.twin = twin
        self.away = away
        self.fresh = fresh
        self._alone: bool | None = None

    def all(self, answer: list[Any]) -> None:
        """Blocks and their bytes, in no order; those of a tract together."""
        found = dict(zip(answer[::2], answer[1::2]))
        tracts = [block for block, data in found.items() if data is not None and len(data) > BLOCK]
        if len(found) >= bulk.WORTH or tracts:
            numpy = diff.loaded_numpy()
            away = {block for part in self.away for block in blocks(part)}
            for first in tracts:
                self._tract(first, found.pop(first), away, numpy)
            for first, stop in bulk.spans(sorted(found.keys() - away)):
                if stop - first >= bulk.WORTH:
                    # The last block may be short.
                    theirs = b"".join([(found[at] or b"").ljust(BLOCK, b"\0") for at in range(first, stop)])
                    if self._span(first, stop, theirs[: len(self.view) - first * BLOCK], numpy):
                        for block in range(first, stop):
                            del found[block]
        for block, data in found.items():
            self.block(block, data)

    def block(self, block: int, data: bytes | None) -> None:
        """One block and its bytes, which lack trailing zeros."""
        view = self.view[block * BLOCK : (block + 1) * BLOCK]
        size = len(view)
        theirs = (data or b"").ljust(size, b"\0")
        if self.fresh:
            view[:] = theirs
            self.twin.set(block, theirs)
            return
        busy = 0
        for part in self.away:
            for entry in part.entries:
                for one in diff.within(entry, block):
                    busy |= int.from_bytes(diff.covered(one, size), "little")
        old = self.twin.get(block, block + 1)
        if theirs == old:
            # What was changed here meanwhile stays, and the rest is so already.
            return
        kept = busy.to_bytes(size, "little") if busy else b""
        alone = size > LITTLE and self._is_alone()
        self.twin.set(block, diff.merge(view, old, theirs, kept, alone))

    def _is_alone(self) -> bool:
        if self._alone is None:
            self._alone = is_alone()
        return self._alone

    def _tract(self, first: int, data: bytes, away: set[int], numpy: Any) -> None:
        stop = first - (-len(data) // BLOCK)
        if away.isdisjoint(range(first, stop)) and self._span(first, stop, data, numpy):
            return
        for block in range(first, stop):
            self.block(block, data[(block - first) * BLOCK : (block - first + 1) * BLOCK])

    def _span(self, first: int, stop: int, theirs: bytes, numpy: Any) -> bool:
        """Neighbouring blocks at once; False where that is of no use."""
        same = (self.fresh or self._is_alone()) and self.twin.same(first, stop)
        if not same and numpy is None:
            return False
        view = self.view[first * BLOCK : first * BLOCK + len(theirs)]
        if same:
            view[:] = theirs
            self.twin.set(first, theirs)
        else:
            bulk.merge(numpy, view, self.twin.view(first, stop)[: len(theirs)], theirs)
        return True
