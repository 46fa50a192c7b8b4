"""What a process has done and not told yet, in memory that outlives it: its supervisor tells it.

    begin     whose results these are: names that whoever tells needs
    add       a result, which is held back from here on
    clear     everything was told
    told      what stands there, for who has seen the process end
    listen    its supervisor reads what it prints, which may be on its way from then on

A result stands there from before the next task begins until the store has it. It is told twice at worst,
and the second time changes nothing (lua/done.lua). A whole machine that vanishes takes it along.

It does not know what is told, or how.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence

from transparent_mp.json_text import dumps, loads
from transparent_mp.primitives import forked
from transparent_mp.store.seal import TAG

#: Larger: more memory of each process that holds back so much; smaller: less is held back at once.
SIZE = 64 * 1024

#: Length of the names, and where the results end; 0 when there are none.
_HEAD = struct.Struct("<II")
_ENTRY = struct.Struct(f"<{TAG}sHI")
_END = struct.Struct("<I")
#: An aligned word, which is written at once.
_END_AT = 4
#: The last byte: whether something was read of what the process has printed.
_LISTENED_AT = SIZE - 1


class Untold:
    """Made by a supervisor before it forks; written by the child, read when that has ended."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, SIZE)
        self._first = self._end = 0

    def begin(self, names: Sequence[str]) -> None:
        """Forget everything else; raises ValueError when the names are too long."""
        text = dumps(list(names)).encode()
        if len(text) > SIZE // 2:
            raise ValueError(f"names of {len(text)} bytes have no room in {SIZE}")
        _HEAD.pack_into(self._memory, 0, 0, 0)
        self._memory[_HEAD.size : _HEAD.size + len(text)] = text
        _HEAD.pack_into(self._memory, 0, len(text), 0)
        self._first = self._end = _HEAD.size + len(text)

    def add(self, tag: bytes, place: int, content: bytes | memoryview) -> bool:
        """Note the result of the task at that place of the message of that tag; False when it has no room."""
        start = self._end + _ENTRY.size
        end = start + len(content)
        if end > _LISTENED_AT:
            return False
        _ENTRY.pack_into(self._memory, self._end, tag, place, len(content))
        self._memory[start:end] = bytes(content)
        self._set_end(end)
        return True

    def renew(self) -> None:
        """By who has made it: it is to be another process's."""
        _HEAD.pack_into(self._memory, 0, 0, 0)
        self._memory[_LISTENED_AT] = 0

    def listen(self) -> None:
        """By who has made it, before it reads what the process has printed."""
        self._memory[_LISTENED_AT] = 1

    @property
    def listened(self) -> bool:
        """Whether something of that may be on its way."""
        return bool(self._memory[_LISTENED_AT])

    def clear(self) -> None:
        if self._end != self._first:
            self._set_end(self._first)

    @property
    def empty(self) -> bool:
        return self._end == self._first

    def told(self) -> tuple[list[str], list[tuple[bytes, int, bytes]]]:
        """The names, and results with tag and place of the task. Raises ValueError for what is neither."""
        length, end = _HEAD.unpack_from(self._memory, 0)
        if not length:
            return [], []
        at = _HEAD.size + length
        if max(at, end) > SIZE:
            raise ValueError("what it has not told says that it is longer than it is")
        names = [str(name) for name in loads(self._memory[_HEAD.size : at])]
        results = []
        while at < end:
            if at + _ENTRY.size > SIZE:
                raise ValueError("what it has not told ends within a result")
            tag, place, size = _ENTRY.unpack_from(self._memory, at)
            at += _ENTRY.size
            results.append((tag, place, self._memory[at : at + size]))
            at += size
        return names, results

    def close(self) -> None:
        self._memory.close()

    def _set_end(self, end: int) -> None:
        self._end = end
        _END.pack_into(self._memory, _END_AT, end if end != self._first else 0)


class _Own:
    """That of this process, if whoever has forked it looks at one."""

    untold: Untold | None = None


def own() -> Untold | None:
    """That of this process; None where nobody would read it."""
    return _Own.untold


def become_own(untold: Untold | None) -> None:
    """In a child that a supervisor has forked."""
    _Own.untold = untold


def _after_fork_in_child() -> None:
    # It is the parent's to tell.
    _Own.untold = None


forked.in_child(_after_fork_in_child)
