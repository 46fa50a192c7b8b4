"""What stat, listdir and scandir answer about the client's files, in the forms that `os` has for it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any, Callable

#: Asks the client for the stat of a path, with symlinks followed.
Stat = Callable[[str], os.stat_result]


def unpacked(found: list[int]) -> os.stat_result:
    """The stat result that `ship.calls.packed` has made plain."""
    atime, mtime, ctime, blksize, blocks, rdev = found[7:]
    times = {"st_atime_ns": atime, "st_mtime_ns": mtime, "st_ctime_ns": ctime}
    # To the last bit as the interpreter makes them.
    seconds = {name[:-3]: ns // 10**9 + 1e-9 * (ns % 10**9) for name, ns in times.items()}
    rest = {"st_blksize": blksize, "st_blocks": blocks, "st_rdev": rdev}
    whole = (atime // 10**9, mtime // 10**9, ctime // 10**9)
    return os.stat_result((*found[:7], *whole), {**seconds, **times, **rest})


class ClientEntry:
    """os.DirEntry, which cannot be made: name, path, and what the directory's listing said."""

    __slots__ = ("_found", "_stat", "_target", "name", "path")

    def __init__(self, name: Any, path: Any, found: list[int], stat_of: Stat) -> None:
        self.name = name
        self.path = path
        self._found = found
        self._stat = stat_of
        self._target: os.stat_result | None = None

    def __fspath__(self) -> Any:
        return self.path

    def __repr__(self) -> str:
        return f"<DirEntry {self.name!r}>"

    def inode(self) -> int:
        return self._found[1]

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return stat.S_ISDIR(self._mode(follow_symlinks))

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return stat.S_ISREG(self._mode(follow_symlinks))

    def is_symlink(self) -> bool:
        return stat.S_ISLNK(self._found[0])

    def is_junction(self) -> bool:
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        if not follow_symlinks or not self.is_symlink():
            return unpacked(self._found)
        if self._target is None:
            self._target = self._stat(self.path)
        return self._target

    def _mode(self, follow: bool) -> int:
        if not follow or not self.is_symlink():
            return self._found[0]
        try:
            return self.stat().st_mode
        except FileNotFoundError:
            return 0


class Scan:
    """The iterator that os.scandir returns."""

    def __init__(self, entries: Iterator[ClientEntry]) -> None:
        self._entries = entries

    def __iter__(self) -> Scan:
        return self

    def __next__(self) -> ClientEntry:
        return next(self._entries)

    def __enter__(self) -> Scan:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._entries = iter(())
