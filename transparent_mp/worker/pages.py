"""Which pages of its memory a process writes to: a copy of a template tells, those after it have them ready.

Memory is shared with who has forked a process until one of them writes to it. Then the kernel copies that
page, and the process waits. Python writes to what it uses, since it counts references: to 700 pages in a
process that does nothing, and they are the same ones in all copies of a template.

    learn      in the template, before each fork: note its memory, and take what was told, once
    make_own   in a copy that has no order yet: have the kernel write to these pages
    tell       in a copy that is about to end: which pages nobody shares with it any more

What is written is a byte of each page onto itself, by one call for many of them, so memory holds what it
held. A page that is not needed after all costs its copy, and one that is missing what it always cost. Where
the kernel tells nothing, or refuses the call, nothing is ready.

It does not know what is in a page.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import mmap
import os
import sys
from collections.abc import Iterator
from typing import Any

from transparent_mp.originals import original

#: Pages at most, else none: a process that writes to more has changed the program's own data, and the next
#: may do otherwise. More: 2.5 us of a processor for each that is not needed; fewer: none for programs with
#: many modules.
MOST = 2048
#: Pages of a mapping and of all that are looked at, 0.1 us each. More: the end of the process that tells
#: comes later; fewer: nothing is told of what large programs have imported.
_LARGEST, _ALL = 1 << 14, 1 << 16

#: What the kernel says of a page (Linux 4.2 and later): there, of a file, mapped by nobody else.
_PRESENT, _OF_A_FILE, _EXCLUSIVE = 1 << 63, 1 << 61, 1 << 56
_WORD = 8
#: Pieces of memory that one call takes.
_PIECES = 1024

_open, _close, _getpid = (original("os", name) for name in ("open", "close", "getpid"))


def _writer() -> Any:
    """The call that writes to a process's memory, keeping the interpreter's lock; None without one."""
    if not sys.platform.startswith("linux"):
        return None
    write = getattr(ctypes.PyDLL(None), "process_vm_writev", None)
    if write is not None:
        place, size = ctypes.c_void_p, ctypes.c_ulong
        write.argtypes, write.restype = (ctypes.c_int, place, size, place, size, size), ctypes.c_ssize_t
    return write


class Pages:
    """Those of one template's copies. Made by it, as memory that it has with them."""

    def __init__(self) -> None:
        #: How many were told, and one more; then their numbers.
        self._told = memoryview(mmap.mmap(-1, (1 + MOST) * _WORD)).cast("Q")
        self._write = _writer()
        self._size = os.sysconf("SC_PAGE_SIZE")
        #: The template's memory: first page and end of each mapping.
        self._memory: list[tuple[int, int]] | None = None
        #: Place and length of each piece, as the kernel takes them.
        self._pieces: Any = None

    def learn(self) -> None:
        """In the template. What was told are numbers that a program may have written over."""
        if self._memory is None:
            self._memory = list(_private(self._size)) if self._write is not None else []
        if self._pieces is None and self._told[0]:
            told = set(self._told[1 : min(self._told[0], 1 + MOST)])
            pages = [page for first, end in self._memory for page in range(first, end) if page in told]
            self._pieces = (ctypes.c_ulong * (2 * len(pages)))()
            for at, page in enumerate(pages):
                self._pieces[2 * at : 2 * at + 2] = page * self._size, 1
            # Tried here first: where it is refused, or forbidden on pain of death, no process meets that.
            if pages and self._own(ctypes.addressof(self._pieces), 1) != 1:
                self._pieces = ()

    def make_own(self) -> None:
        """In a copy, whose only thread this is."""
        if not self._pieces:
            return
        place, left = ctypes.addressof(self._pieces), len(self._pieces) // 2
        while left > 0:
            count = min(left, _PIECES)
            self._own(place, count)
            place, left = place + 2 * _WORD * count, left - count

    def _own(self, place: int, count: int) -> int:
        """Have so many pieces, listed there, written; returns how many bytes were, -1 for none."""
        written: int = self._write(_getpid(), place, count, place, count, 0)
        return written

    def tell(self) -> None:
        """In a copy that does nothing more; nothing if another has told."""
        if self._told[0] or not self._memory:
            return
        found: list[int] = []
        # Where it cannot be seen, no other copy sees it either.
        with contextlib.suppress(OSError):
            found = list(_exclusive(self._memory))
        if len(found) > MOST:
            found = []
        for at, page in enumerate(found, 1):
            self._told[at] = page
        # Last: whoever finds it finds the others.
        self._told[0] = 1 + len(found)


def _private(size: int) -> Iterator[tuple[int, int]]:
    """First page and end of each mapping that may be written to and is nobody else's; no large ones."""
    left = _ALL
    for line in _read("/proc/self/maps").splitlines():
        place, mode, _ = line.split(b" ", 2)
        if mode.startswith(b"rw") and mode.endswith(b"p"):
            first, end = (int(address, 16) // size for address in place.split(b"-"))
            if end - first <= min(left, _LARGEST):
                left -= end - first
                yield first, end


def _exclusive(memory: list[tuple[int, int]]) -> Iterator[int]:
    """The pages of it that nobody shares with this process. Raises OSError where the kernel does not tell."""
    looked_at, wanted = _PRESENT | _OF_A_FILE | _EXCLUSIVE, _PRESENT | _EXCLUSIVE
    pagemap = _open("/proc/self/pagemap", os.O_RDONLY)
    try:
        for first, end in memory:
            words = array.array("Q", os.pread(pagemap, (end - first) * _WORD, first * _WORD))
            yield from (first + at for at, word in enumerate(words) if word & looked_at == wanted)
    finally:
        _close(pagemap)


def _read(path: str) -> bytes:
    file, text = _open(path, os.O_RDONLY), bytearray()
    try:
        while piece := os.read(file, 1 << 16):
            text += piece
    finally:
        _close(file)
    return bytes(text)
