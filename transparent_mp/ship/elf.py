"""Shared libraries that a compiled module brings along: those it needs and says where to find.

Wheels bundle them beside the package (`numpy.libs`) or in it, environments in a directory of theirs, and
the module's run path leads there. What it needs of the system is not looked for. Files of another format
than ELF (64 bits, little-endian) bring nothing.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_IDENT = b"\x7fELF\x02\x01"
_LOAD, _DYNAMIC = 1, 2
_NULL, _NEEDED, _STRTAB, _RPATH, _RUNPATH = 0, 1, 5, 15, 29


class _Dynamic(NamedTuple):
    """What the dynamic loader is told by one file."""

    needed: list[str]
    folders: list[str]


def bundled(path: str) -> dict[str, str]:
    """Names of the libraries that the module at `path` brings along and where they are, in an order in which
    each comes after those that it needs itself."""
    found: dict[str, str] = {}
    seen: set[str] = set()

    def visit(file: str, inherited: list[str]) -> None:
        told = _read(file)
        folders = [*told.folders, *inherited]
        for name in told.needed:
            at = next(
                (each for folder in folders if os.path.isfile(each := os.path.join(folder, name))), None
            )
            if at is not None and name not in seen:
                seen.add(name)
                visit(at, folders)
                found[name] = at

    visit(path, [])
    return found


def _read(path: str) -> _Dynamic:
    with open(path, "rb") as file:
        header = file.read(64)
        if not header.startswith(_IDENT) or len(header) < 64:
            return _Dynamic([], [])
        try:
            return _dynamic(file, header, os.path.dirname(os.path.realpath(path)))
        except (struct.error, ValueError):
            return _Dynamic([], [])


def _dynamic(file: BinaryIO, header: bytes, origin: str) -> _Dynamic:
    at, size, count = (*struct.unpack_from("<Q", header, 32), *struct.unpack_from("<HH", header, 54))
    loaded: list[tuple[int, int, int]] = []
    tags: list[tuple[int, int]] = []
    for number in range(count):
        kind, _, offset, address, _, length = struct.unpack("<IIQQQQ", _at(file, at + number * size, 40))
        if kind == _LOAD:
            loaded.append((address, length, offset))
        elif kind == _DYNAMIC:
            tags = list(_tags(_at(file, offset, length)))
    table = next((value for tag, value in tags if tag == _STRTAB), None)
    if table is None:
        return _Dynamic([], [])
    names = next(
        table - start + offset for start, length, offset in loaded if start <= table < start + length
    )
    needed = [_string(file, names + value) for tag, value in tags if tag == _NEEDED]
    paths = [_string(file, names + value) for tag, value in tags if tag in (_RPATH, _RUNPATH)]
    folders = [folder for path in paths for folder in path.split(":") if folder]
    return _Dynamic(
        needed, [folder.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", origin) for folder in folders]
    )


def _tags(section: bytes) -> Iterator[tuple[int, int]]:
    for tag, value in struct.iter_unpack("<QQ", section[: len(section) // 16 * 16]):
        if tag == _NULL:
            return
        yield tag, value


def _at(file: BinaryIO, offset: int, count: int) -> bytes:
    file.seek(offset)
    return file.read(count)


def _string(file: BinaryIO, offset: int) -> str:
    text = _at(file, offset, 4096)
    return os.fsdecode(text[: text.index(b"\0")])
