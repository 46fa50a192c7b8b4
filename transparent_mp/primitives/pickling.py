"""Pickles as ForkingPickler makes them, of which what is large stays where it lies.

A pickler hands large bytes and strings on as they are, so they are pieces of the pickle without having been
copied into it. A large numpy array is a buffer apart from it, to which the pickle refers by number, and at
the other side an array over the memory into which that was read.

The protocol is the standard library's default. Out-of-band buffers of pickle's protocol 5 would change what
arrives: a read-only array stays read-only by it, where by protocol 4, with which the standard library sends
it, the array that arrives can be written to; and `__reduce_ex__` of the program's classes would be asked
for another protocol.

An array that somebody may write to meanwhile is copied first, for its digest must be that of what is sent.

It does not know how pieces travel (`store.content`).
"""

from __future__ import annotations

import copyreg
import pickle
import sys
import threading
from multiprocessing import reduction
from typing import Any

from transparent_mp.primitives.alone import is_alone
from transparent_mp.store.content import BLOB
from transparent_mp.store.pieces import Payload, Piece, Pieces
from transparent_mp.store.seal import Buffer

#: Bytes from which on an array, or bytes, are a piece of their own. Smaller: more pieces to read.
APART = BLOB

# typeshed knows the public names only.
_Pickler: Any = reduction.ForkingPickler
#: What a program may have replaced by its own.
_STOCK = _Pickler.dumps.__func__


_SIZED = frozenset((bytes, str))
_PLAIN = frozenset((int, float, bool, type(None), *_SIZED))
_BOXES = frozenset((tuple, list, dict))
#: How deep, and how many things of how many bytes each, a message is looked through for what is not plain.
#: More: longer where there is such a thing.
DEPTH, FEW, LITTLE = 3, 8, 512
#: Bytes of a pickle up to which its pickler is used again. Larger: its memo, which only grows, takes longer
#: to clear after each of the next; smaller: more picklers are made.
AGAIN = 4096


class _Written(list):  # type: ignore[type-arg]
    """What a pickler has written, in the pieces in which it did."""

    write = list.append


class _Pickling:
    """A pickler with what it writes to. Used again, since to make one takes as long as to pickle a task."""

    __slots__ = ("_kind", "_registered", "apart", "pickler", "written")

    def __init__(self) -> None:
        self.written, self.apart = _Written(), _Apart()
        self._registered = copyreg.dispatch_table.copy(), _Pickler._extra_reducers.copy()
        self.pickler = _Pickler(self.written)
        self._kind = getattr(sys.modules.get("numpy"), "ndarray", None)
        if self._kind is not None:
            # What was registered for arrays keeps its say.
            self.pickler.dispatch_table.setdefault(self._kind, self.apart.reduce)

    def holds(self) -> bool:
        """Whether one that is made anew would pickle everything as this one does."""
        return (
            self._registered == (copyreg.dispatch_table, _Pickler._extra_reducers)
            and getattr(sys.modules.get("numpy"), "ndarray", None) is self._kind
        )


class _Ready(threading.local):
    """That of this thread, while it does not pickle."""

    pickling: _Pickling | None = None


_ready = _Ready()


class _Buffers(threading.local):
    """The buffers that the pickle refers to which this thread is reading."""

    apart: list[Buffer] = []


_buffers = _Buffers()


def dumps(obj: Any) -> Payload:
    """`ForkingPickler.dumps`, in pieces when it is large."""
    if _Pickler.dumps.__func__ is not _STOCK:
        return _Pickler.dumps(obj)  # type: ignore[no-any-return]
    kind = obj.__class__
    if (kind in _PLAIN and (kind not in _SIZED or len(obj) < APART)) or (
        kind in _BOXES and _is_plain(obj, DEPTH)
    ):
        # Without a table of reducers, for which a pickler takes longer.
        return pickle.dumps(obj)
    # Nobody else has it meanwhile: what an object's own method pickles is pickled by another.
    ready, _ready.pickling = _ready.pickling, None
    if ready is None or not ready.holds():
        ready = _Pickling()
    written, apart = ready.written, ready.apart
    ready.pickler.dump(obj)
    if len(written) == 1 and not apart.found:
        content = written.pop()
        if len(content) < AGAIN:
            ready.pickler.clear_memo()
            _ready.pickling = ready
        return content  # type: ignore[no-any-return]
    return _in_pieces(written, apart.found)


def _is_plain(obj: Any, depth: int) -> bool:
    """Whether no reducer is asked for anything in that box, and all is small."""
    if not depth or len(obj) > FEW:
        return False
    # Called for boxes only, as nearly every message passes here.
    for one in obj if obj.__class__ is not dict else (*obj, *obj.values()):
        kind = one.__class__
        if kind in _PLAIN:
            if kind in _SIZED and len(one) >= LITTLE:
                return False
        elif kind not in _BOXES or not _is_plain(one, depth - 1):
            return False
    return True


def loads(content: Payload) -> Any:
    """What `dumps` has pickled; `ForkingPickler.loads` for what was pickled otherwise."""
    if not isinstance(content, Pieces):
        return _Pickler.loads(content)
    before, _buffers.apart = _buffers.apart, content.apart
    try:
        return _Pickler.loads(content.stream)
    finally:
        _buffers.apart = before


def plain(content: Payload) -> Buffer:
    """A pickle of its own, which anybody may read who asks for the message's bytes."""
    if not isinstance(content, Pieces):
        return content
    return pickle.dumps(_Whole(content))


class _Whole:
    """Is pickled as what stands in the pieces."""

    def __init__(self, content: Pieces) -> None:
        self._content = content

    def __reduce__(self) -> tuple[Any, ...]:
        content = self._content
        return whole, (bytes(content.stream), [bytearray(buffer) for buffer in content.apart])


def whole(stream: bytes, apart: list[Buffer]) -> Any:
    """What `plain` has made a pickle of."""
    return loads(Pieces([Piece(stream), *(Piece(buffer, apart=True) for buffer in apart)]))


def array(number: int, dtype: Any, shape: tuple[int, ...], order: str) -> Any:
    """The array over a buffer apart."""
    numpy: Any = sys.modules["numpy"]
    buffer = _buffers.apart[number]
    memory: Any = buffer.obj if isinstance(buffer, memoryview) else None
    if type(memory) is numpy.ndarray:
        # Whoever sends it on knows it for an array's own memory.
        return memory.view(dtype).reshape(shape, order=order)
    return numpy.ndarray(shape, dtype, buffer, order=order)


class _Apart:
    """The arrays that are not in a pickle."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: list[Buffer] = []

    def reduce(self, value: Any) -> Any:
        flags, kind = value.flags, value.dtype
        # Of another byte order numpy makes one of this machine's.
        if value.nbytes < APART or kind.hasobject or not kind.isnative or not flags.forc:
            return value.__reduce_ex__(pickle.DEFAULT_PROTOCOL)
        order = "C" if flags.c_contiguous else "F"
        # Its own, and nobody's but this thread's.
        if _owned(value) and is_alone():
            self.found.append(memoryview(value.ravel("K").view("u1")))
        else:
            self.found.append(value.tobytes("A"))
        return array, (len(self.found) - 1, kind, value.shape, order)


def _owned(value: Any) -> bool:
    """Whether its memory is an array's, and not shared memory or a file's."""
    while value.base is not None and type(value.base) is type(value):
        value = value.base
    return bool(value.flags.owndata)


def _in_pieces(written: list[Buffer], apart: list[Buffer]) -> Payload:
    """What was written, large pieces as they are and those between them joined."""
    if not apart and sum(map(len, written)) < BLOB:
        return b"".join(written)
    pieces: list[Piece] = []
    between: list[Buffer] = []
    for one in written:
        if len(one) < APART:
            between.append(one)
            continue
        if between:
            pieces.append(Piece(b"".join(between)))
            between = []
        pieces.append(Piece(one))
    if between:
        pieces.append(Piece(b"".join(between)))
    return Pieces([*pieces, *(Piece(buffer, apart=True) for buffer in apart)])
