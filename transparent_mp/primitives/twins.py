"""Twins: what of a replica was last exchanged, and in which blocks its memory differs from that.

They do not know how what differs is told to others.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from typing import Callable

from transparent_mp.primitives import diff
from transparent_mp.primitives.diff import BLOCK

Stretches = Callable[[], Iterable[tuple[int, int]]]


class SmallTwin:
    """Twin of a segment of one block (or none)."""

    __slots__ = ("_data", "_view")

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._data = bytearray(len(view))

    def changed(self) -> tuple[int, ...]:
        return () if self._view.tobytes() == self._data else (0,)

    def same(self, _first: int, _stop: int) -> bool:
        return not self.changed()

    def get(self, _first: int, _stop: int) -> bytes:
        return bytes(self._data)

    def set(self, _first: int, data: bytes) -> None:
        self._data[:] = data

    def view(self, _first: int, _stop: int) -> memoryview:
        return memoryview(self._data)


class LargeTwin:
    """Twin of a larger segment: zeros that are never written cost no memory."""

    __slots__ = ("_addresses", "_data", "_size", "_stretches")

    def __init__(self, view: memoryview, stretches: Stretches | None) -> None:
        """`stretches`: where the memory may be other than zeros, if it knows."""
        self._size = len(view)
        whole = ((0, self._size),)
        self._stretches: Stretches = stretches or (lambda: whole)
        self._data = mmap.mmap(-1, self._size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._addresses = (diff.address(view), diff.address(self._data))

    def changed(self) -> Iterator[int]:
        return diff.changed_blocks(*self._addresses, self._stretches())

    def same(self, first: int, stop: int) -> bool:
        """Whether the memory of those blocks is what was last exchanged."""
        return diff.same(*self._addresses, first * BLOCK, min(stop * BLOCK, self._size))

    def get(self, first: int, stop: int) -> bytes:
        return self._data[first * BLOCK : min(stop * BLOCK, self._size)]

    def set(self, first: int, data: bytes) -> None:
        self._data[first * BLOCK : first * BLOCK + len(data)] = data

    def view(self, first: int, stop: int) -> memoryview:
        return memoryview(self._data)[first * BLOCK : stop * BLOCK]
