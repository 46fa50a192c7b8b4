"""Parts: what one publication found changed in a segment, and the commands that bring it to the store.

Of a small segment the bytes go with the script that publishes them. Whole blocks of a large one are put
beside it by a plain command, those of a tract (`tracts`) as one string, under a name that nobody else gives
and that is given once, and the script sees numbers only: bytes through a script cost ten times as much. So a
command that comes late, or once more, changes nothing but what the script takes, or has taken, from under
that name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from transparent_mp.primitives.diff import BLOCK, LEFT, Entry, Tract
from transparent_mp.primitives.expected import spec
from transparent_mp.store.link import Arg, Command
from transparent_mp.store.scripts import script, with_words
from transparent_mp.store.session import Session

#: Bytes of a block's mask.
MASK = BLOCK // 8


class Part(NamedTuple):
    """What one publication of one thread found changed."""

    number: int
    #: Version that was known then: a mask's other bytes are those of that version.
    known: int
    entries: list[Entry]
    thread: int
    #: Number of the first part of the same publication.
    first: int
    #: Under which blocks of a large segment lie beside it; "" in a small one.
    name: str


def blocks(part: Part) -> Iterator[int]:
    """Those that it changes."""
    for first, where, _data in part.entries:
        if isinstance(where, Tract):
            yield from range(first, first + where.blocks)
        elif where != LEFT:
            yield first


def publishing_nothing(session: Session, keys: Sequence[str], oid: str) -> Command:
    """The command that publishes no part of a small segment yet. `keys`: of the segment, the first two."""
    return script("publish", keys[:2], (session.uid, str(session.ttl), oid))


def publishing_small(nothing: Command, parts: Sequence[Part]) -> Sequence[Command]:
    """The commands that publish them, in this order, made of what publishes nothing."""
    args: list[Arg] = []
    for part in parts:
        args += (str(part.number), str(part.known), str(len(part.entries)))
        for block, where, data in part.entries:
            # A small segment has no tracts.
            args += (str(block), where if isinstance(where, (str, bytes)) else str(where), data)
    return (with_words(nothing, *args),)


def publishing_large(
    session: Session, keys: Sequence[str], oid: str, parts: Sequence[Part]
) -> Sequence[Command]:
    """The same for a large segment. `keys`: of the segment (store/lua/publish_large.lua)."""
    args: list[Arg] = [session.uid, str(session.ttl), oid]
    args += (spec(block for part in parts for block in blocks(part)), BLOCK)
    beside: list[Arg] = []
    masked: list[Arg] = []
    for part in parts:
        args += (part.number, part.known, part.name, len(part.entries))
        masks: list[bytes] = []
        for block, where, data in part.entries:
            if isinstance(where, int):
                args += (block, where, data)
                continue
            if where == LEFT:
                args += (block, LEFT, b"")
                continue
            beside += (f"{block}:{part.name}", data)
            if isinstance(where, Tract):
                args += (block, f"t{where.blocks} {len(masks)}" if where.masks else f"T{where.blocks}", b"")
                masks += [mask.ljust(MASK, b"\0") for mask in where.masks]
            elif isinstance(where, bytes):
                args += (block, f"M{len(masks)}", b"")
                masks.append(where[1:].ljust(MASK, b"\0"))
            else:
                args += (block, "@", b"")
        if masks:
            masked += (f"{part.name}.{part.number}", b"".join(masks))
    publish = script("publish_large", keys, args)
    if not beside:
        return (publish,)
    # HMSET is no step of a line, as HSET is: it would be carried out by a script. Many masks are written from
    # where they lie, which for many blocks would take longer.
    puts = [("HMSET", keys[1], *fields) for fields in (masked, beside) if fields]
    return *puts, ("PEXPIRE", keys[1], session.ttl), publish
