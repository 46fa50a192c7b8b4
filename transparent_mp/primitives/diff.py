"""What differs between two versions of a block of bytes, and how they are brought together.

An *entry* says what one writer changed in one block, and names exactly the bytes that it changed:

    (block, OFFSET, bytes)   the bytes from that offset on
    (block, "=", bytes)      all of the block
    (block, "m...", bytes)   the block as the writer sees it, and a mask with a bit for each byte
                             that the writer changed, the highest first
    (block, Tract, bytes)    all of several blocks, from that one on (`tracts`)
    (block, LEFT, b"")       nothing; the tract that begins there is one no longer

A byte between two changed ones never counts as changed: another process may be writing it.

It knows nothing of segments, versions and the store.
"""

from __future__ import annotations

import ctypes
import re
import sys
from binascii import unhexlify
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Union

from transparent_mp.errors import UntrustedPayloadError


class Tract(NamedTuple):
    """Neighbouring blocks that are published together."""

    blocks: int
    #: What they were.
    old: bytes
    #: Of each block, as in an entry; none where the store knows what they were.
    masks: tuple[bytes, ...]


Entry = tuple[int, Union[int, str, bytes, Tract], bytes]
LEFT = "-"

#: Bytes of a block, the unit in which the store keeps a segment. Larger: more is fetched for a
#: changed byte; smaller: more entries for a changed megabyte.
BLOCK = 4096

#: Runs of changed bytes in a block up to which each is an entry. More: smaller than a whole block
#: with its mask, but each is a string operation for the store.
RUNS = 4

#: Runs from which numpy, if the program has loaded it, writes them faster than slices do.
MANY_RUNS = 16

#: Bytes compared at once before looking for the block that differs.
STRIDE = 64 * 1024

#: What it means that what comes cannot be what was put there.
FOREIGN = (
    "what the store has of shared memory does not fit it: something else writes to this Redis under our keys"
)

_RUN = re.compile(rb"[^\0]+")
_TO_DIGITS = b"0" + b"1" * 255
# Two such digits read as one byte: their value, 0 to 3, as a digit; and two of these as a hexadecimal one.
_TO_PAIRS = bytes(48 + ((byte >> 4) << 1 | byte & 1) % 4 for byte in range(256))
_TO_FOURS = bytes(b"0123456789abcdef"[((byte >> 4) << 2 | byte & 3) % 16] for byte in range(256))
_TO_MASK = b"\0" + b"\xff" * 255
_FROM_DIGITS = bytes(255 if chr(byte) == "1" else 0 for byte in range(256))


def check(answer: list[Any], size: int) -> None:
    """Raise UntrustedPayloadError unless blocks and their bytes, in turn, lie in a segment of that size.

    Those of a tract are longer than a block.
    """
    last = max(0, size - 1) // BLOCK
    for block, data in zip(answer[::2], answer[1::2]):
        if block.__class__ is int and 0 <= block <= last:
            if data is None:
                continue
            if data.__class__ is bytes and len(data) <= size - block * BLOCK:
                continue
        raise UntrustedPayloadError(FOREIGN)


def entries(block: int, old: bytes, new: bytes) -> list[Entry]:
    """What changed from `old` to `new`, which are of one length and differ."""
    differs = _differs(old, new)
    if 0 not in differs:
        return [(block, "=", new)]
    # Few changes lie close together, and to strip is faster than to search.
    body = differs.lstrip(b"\0")
    before = len(differs) - len(body)
    body = body.rstrip(b"\0")
    if 0 not in body:
        return [(block, before, new[before : before + len(body)])]
    found: list[Entry] = []
    for run in _RUN.finditer(body):
        if len(found) == RUNS:
            return [(block, b"m" + _mask(differs), new)]
        start, stop = before + run.start(), before + run.end()
        found.append((block, start, new[start:stop]))
    return found


def within(entry: Entry, block: int) -> Iterable[Entry]:
    """What an entry says of one block."""
    first, where, data = entry
    if isinstance(where, Tract):
        if not first <= block < first + where.blocks:
            return ()
        part = slice((block - first) * BLOCK, (block - first + 1) * BLOCK)
        return entries(block, where.old[part], data[part])
    return (entry,) if first == block and where != LEFT else ()


def covered(entry: Entry, size: int) -> bytes:
    """A byte for each of the block's `size`: 255 where the entry has it changed, else 0."""
    _block, where, data = entry
    if where == "=":
        return b"\xff" * size
    if isinstance(where, int):
        return b"\0" * where + b"\xff" * len(data) + b"\0" * (size - where - len(data))
    assert isinstance(where, bytes)
    digits = f"{int.from_bytes(where[1:], 'big'):0{8 * (len(where) - 1)}b}"
    return digits.encode().translate(_FROM_DIGITS)[:size]


def merge(view: memoryview, twin: bytes, theirs: bytes, busy: bytes = b"", alone: bool = False) -> bytes:
    """Bring what others made of a block into `view`, whose last exchanged contents are `twin`.

    Bytes that were changed here since then stay, and so do those that `busy` covers, whose own
    value is on its way to the store. `alone`: no other thread writes there meanwhile. Returns the new
    twin.
    """
    mine = view.tobytes()
    if mine == twin and not busy:
        if alone:
            view[:] = theirs
        else:
            _write(view, _differs(mine, theirs), theirs)
        return theirs
    size = len(mine)
    number = int.from_bytes
    away = number(busy, "little")
    kept = away | number(_differs(mine, twin).translate(_TO_MASK), "little")
    changes = (number(mine, "little") ^ number(theirs, "little")) & ~kept
    if alone:
        view[:] = (number(mine, "little") ^ changes).to_bytes(size, "little")
    else:
        _write(view, changes.to_bytes(size, "little"), theirs)
    return ((number(twin, "little") & away) | (number(theirs, "little") & ~away)).to_bytes(size, "little")


def changed_blocks(mine: int, twin: int, stretches: Iterable[tuple[int, int]]) -> Iterator[int]:
    """Numbers of the blocks in which the memory at two addresses differs, within those stretches."""
    for first, stop in stretches:
        for start in range(first, stop, STRIDE):
            length = min(STRIDE, stop - start)
            if _memcmp(mine + start, twin + start, length):
                for at in range(start, start + length, BLOCK):
                    if _memcmp(mine + at, twin + at, min(BLOCK, stop - at)):
                        yield at // BLOCK


def same(mine: int, twin: int, start: int, stop: int) -> bool:
    """Whether the memory at two addresses is the same from one place to another."""
    return not _memcmp(mine + start, twin + start, stop - start)


def address(buffer: Any) -> int:
    """Where a writable buffer lies; it does not move while it lives."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def _differs(one: bytes, other: bytes) -> bytes:
    difference = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return difference.to_bytes(len(one), "little")


def _mask(differs: bytes) -> bytes:
    digits = differs.translate(_TO_DIGITS).ljust(-(-len(differs) // 8) * 8, b"0")
    # Three times half as many: faster than int(digits, 2).
    return unhexlify(unhexlify(unhexlify(digits).translate(_TO_PAIRS)).translate(_TO_FOURS))


def _write(view: memoryview, differs: bytes, data: bytes) -> None:
    # Only bytes that differ are written: another thread may be writing those beside them.
    runs = [run.span() for run, _ in zip(_RUN.finditer(differs), range(MANY_RUNS))]
    numpy = loaded_numpy() if len(runs) == MANY_RUNS else None
    if numpy is not None:
        as_bytes = numpy.uint8
        numpy.copyto(
            numpy.frombuffer(view, as_bytes),
            numpy.frombuffer(data, as_bytes),
            where=numpy.frombuffer(differs, as_bytes).astype(bool),
        )
        return
    if len(runs) == MANY_RUNS:
        runs = [run.span() for run in _RUN.finditer(differs)]
    for start, stop in runs:
        view[start:stop] = data[start:stop]


def loaded_numpy() -> Any:
    """The numpy module if the program has imported it; importing it for this would take longer."""
    numpy = sys.modules.get("numpy")
    if numpy is None or getattr(getattr(numpy, "__spec__", None), "_initializing", False):
        return None
    return numpy if hasattr(numpy, "copyto") else None


# It lets go of the interpreter's lock, so that other threads run while megabytes are compared.
_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
