"""Several pickles as one content, so that they are sealed, numbered and sent once.

one        the pickle itself
more       MARK, how many, the length of each, the pickles; no pickle begins with MARK
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence

from transparent_mp.store.pieces import Payload, Pieces
from transparent_mp.store.seal import Buffer

MARK = b"M"
_HEAD = struct.Struct("<cI")


def joined(pickles: Sequence[Buffer]) -> Buffer:
    """One content of them all."""
    if len(pickles) == 1:
        return pickles[0]
    lengths = struct.pack(f"<{len(pickles)}I", *map(len, pickles))
    return b"".join((_HEAD.pack(MARK, len(pickles)), lengths, *pickles))


def divided(content: Payload) -> Sequence[Payload]:
    """What was joined. Raises ValueError for what was not."""
    if isinstance(content, Pieces) or bytes(content[:1]) != MARK:
        return (content,)
    view = memoryview(content)
    try:
        _, count = _HEAD.unpack_from(view)
        lengths = struct.unpack_from(f"<{count}I", view, _HEAD.size)
    except struct.error as error:
        raise ValueError(f"not several pickles: {error}") from None
    ends = list(itertools.accumulate(lengths, initial=_HEAD.size + 4 * count))
    if ends[-1] != len(view):
        raise ValueError(f"several pickles of {ends[-1]} bytes in {len(view)}")
    return [view[begin:end] for begin, end in zip(ends, ends[1:])]
