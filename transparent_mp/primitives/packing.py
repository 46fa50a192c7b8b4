"""Globals pickled one by one: large ones by digest or kept, small ones whole.

A large global is found by its pickle growing beyond `LARGE`, at the cost of no more than that, and
remembered by name and identity.

It does not know what a process needs; `main_capture` does.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from transparent_mp.primitives import main_globals
from transparent_mp.primitives.reduction import ForkPickler, main_callables

#: Bytes of a pickle from which a global is not sent before it is used.
LARGE = 1 << 20
_SMALL_BUFFER = 1 << 16
_SIZED = (bytes, bytearray, str, list, dict, set, frozenset, tuple)


class Apart(NamedTuple):
    """A global with a pickle of its own."""

    kind: str
    #: Digest of the pickle, or the pickle.
    stream: Any
    #: Out-of-band buffers: digest, whether it was read-only.
    buffers: tuple[tuple[str, bool], ...]


class Kept(NamedTuple):
    """A global that a snapshot keeps: the process asks for it when it uses it."""

    kind: str
    module: str
    name: str
    #: Empty: the one that the process was started from.
    snapshot: str = ""


class Left(NamedTuple):
    """A global that no code names."""

    kind: str
    #: Its name when it is a module.
    module: str = ""


ENTRIES = {entry.__name__: entry for entry in (Apart, Kept, Left)}


class TooLargeError(Exception):
    """A pickle has grown beyond `LARGE`."""


class Bounded(io.BytesIO):
    """A pickle that stops where it becomes large."""

    def __init__(self) -> None:
        super().__init__()
        self._end = LARGE

    def allow(self, *, any_size: bool = False) -> None:
        """Let the next one begin here."""
        self._end = sys.maxsize if any_size else self.tell() + LARGE

    def write(self, data: Any) -> int:
        # A buffer in the stream comes as a PickleBuffer, which has no length.
        if self.tell() + memoryview(data).nbytes > self._end:
            raise TooLargeError
        return super().write(data)


class Solo:
    """Pickles globals by themselves. `references`: objects that go by their name in `__main__`."""

    def __init__(self, references: dict[int, str]) -> None:
        self._references = references
        #: Large parts by digest: live buffers, to be sent or copied now.
        self.externals: dict[str, Any] = {}
        self.names: set[str] = set()
        self.mentioned: set[str] = set()

    def pack(self, value: Any) -> Apart:
        """Of any size."""
        buffer, buffers = io.BytesIO(), []

        def apart(view: pickle.PickleBuffer) -> bool:
            raw = _raw(view)
            if raw is None or raw.nbytes < _SMALL_BUFFER:
                return True
            buffers.append(raw)
            return False

        self._dump(buffer, value, apart)
        stream: Any = buffer.getvalue()
        if len(stream) > LARGE:
            stream = self._keep(stream)
        return Apart(type(value).__name__, stream, tuple((self._keep(raw), raw.readonly) for raw in buffers))

    def pack_small(self, value: Any) -> Apart:
        """Raises TooLargeError when it is not."""
        buffer = Bounded()
        self._dump(buffer, value, refuse_large)
        return Apart(type(value).__name__, buffer.getvalue(), ())

    def pack_whole(self, value: Any) -> bytes:
        """One pickle with everything in it."""
        buffer = io.BytesIO()
        self._dump(buffer, value, None)
        return buffer.getvalue()

    def _dump(self, buffer: Any, value: Any, on_buffer: Any) -> None:
        known = {**main_callables(vars(sys.modules["__main__"])), **self._references}
        known.pop(id(value), None)
        pickler = ForkPickler(buffer, 5, on_buffer, references=known)
        pickler.dump(value)
        self.names |= pickler.names
        self.mentioned |= pickler.mentioned

    def _keep(self, raw: Any) -> str:
        digest = hashlib.sha256(raw).hexdigest()
        self.externals[digest] = raw
        return digest


def refuse_large(view: pickle.PickleBuffer) -> bool:
    """For a pickler: buffers go in the stream, and a large one ends it before it is copied."""
    raw = _raw(view)
    if raw is not None and raw.nbytes > LARGE:
        raise TooLargeError
    return True


def is_large(module: str, name: str, value: Any) -> bool:
    """Whether the global is large, as far as that is known without pickling it."""
    if type(value) in _SIZED and sys.getsizeof(value) > LARGE:
        note_large(module, name, value)
        return True
    return _large.get((module, name)) == id(value)


def note_large(module: str, name: str, value: Any) -> None:
    """Remember it."""
    _large[module, name] = id(value)


def kept(module: str, name: str) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """In a snapshot: the global's `Apart`, as a tuple, and what it refers to by digest."""
    value = vars(sys.modules[module]).get(name)
    kind = type(value).__name__
    try:
        value = vars(sys.modules[module])[name]
        solo = Solo(_found_before(module, name))
        return tuple(solo.pack(value)), solo.externals
    except Exception as error:  # noqa: BLE001 - whatever a reducer raises is what the user shall read
        lost = main_globals.lost_global(name, kind, f"{type(error).__name__}: {error}", module)
        buffer = io.BytesIO()
        ForkPickler(buffer).dump(lost)
        return (kind, buffer.getvalue(), ()), {}


def _found_before(module: str, name: str) -> dict[int, str]:
    """Large globals of `__main__` by identity, up to this one: so that no two refer to each other."""
    main, found = vars(sys.modules["__main__"]), {}
    for home, other in _large:
        if (home, other) == (module, name):
            break
        if home == "__main__" and other in main:
            found[id(main[other])] = other
    return found


#: (Module, name) of globals found to be large -> the value's identity: a hint that saves an attempt.
_large: dict[tuple[str, str], int] = {}


def _raw(view: pickle.PickleBuffer) -> memoryview | None:
    try:
        return view.raw()
    except BufferError:
        return None
