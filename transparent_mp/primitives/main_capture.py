"""The client's half of `main_module`: what of `__main__` goes into an image, and in which form.

One pickler writes all eager globals, a segment each, so that one memo joins them. A global that cannot be
written so, or is large, spoils the stream: the attempt is given up and made again with that *suspect*
pickled by itself. Suspects are remembered, so that the next `start()` succeeds at once.

It does not restore anything.
"""

from __future__ import annotations

import hashlib
import io
import linecache
import pickle
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from transparent_mp.primitives import main_globals, own_modules, submodules
from transparent_mp.primitives.reduction import DYNAMIC, ForkPickler, is_of_main, main_callables

#: Bytes from which a global travels by digest.
LARGE = 1 << 20
_SMALL_BUFFER = 1 << 16
#: Name of the segment that makes classes for other modules.
_LATE = "__tmp_late__"
_SIZED = (bytes, bytearray, str, list, dict, set, frozenset, tuple)
_MODULE_NAMES = ("__file__", "__package__", "__doc__", "__cached__")
_OURS = frozenset({*_MODULE_NAMES, "__name__", "__spec__", "__loader__", "__builtins__"})


class Capture(NamedTuple):
    """An image, and what it refers to by digest (buffers of live objects: send or copy them now)."""

    image: bytes
    externals: dict[str, Any]


class Apart(NamedTuple):
    """A global with a pickle of its own."""

    kind: str
    #: Digest of the pickle, or the pickle.
    stream: Any
    #: Out-of-band buffers: digest, whether it was read-only.
    buffers: tuple[tuple[str, bool], ...]


class Left(NamedTuple):
    """A global that no code names."""

    kind: str
    #: Its name when it is a module.
    module: str = ""


def capture(names: Iterable[str] = (), mentioned: Iterable[str] = ()) -> Capture:
    """Capture `__main__`; `names` and `mentioned` are those of code outside of it (see `ForkPickler`)."""
    main = sys.modules["__main__"]
    hopeless: dict[str, str] = {}
    tried: set[str] = set()
    while True:
        attempt = _Attempt(main, set(names), set(mentioned), hopeless)
        try:
            attempt.run()
        except _SuspectError as found:
            _suspects.add(found.name)
            # A suspect is pickled by itself; one that comes back all the same is given up, so this ends.
            if found.name in tried:
                hopeless[found.name] = str(found.__cause__)
            tried.add(found.name)
        else:
            return attempt.result()


def late_global(name: str) -> bytes:
    """A pickle of the client's global as it is now, or of a stand-in that says why there is none."""
    main = vars(sys.modules["__main__"])
    kind = type(main.get(name)).__name__
    buffer = io.BytesIO()
    try:
        value = main[name]
        _solo(buffer, {}, value).dump(value)
    except Exception as error:  # noqa: BLE001 - whatever a reducer raises is what the user shall read
        buffer = io.BytesIO()
        ForkPickler(buffer).dump(main_globals.lost_global(name, kind, f"{type(error).__name__}: {error}"))
    return buffer.getvalue()


#: Globals that did not fit into the joint pickle before: a hint that saves the attempt next time.
_suspects: set[str] = set()


class _SuspectError(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class _LargeBufferError(Exception):
    pass


class _Attempt:
    """One try at the joint pickle."""

    def __init__(
        self, main: types.ModuleType, names: set[str], mentioned: set[str], hopeless: dict[str, str]
    ) -> None:
        self._module = main
        self._main = dict(vars(main))
        self._names = names
        self._mentioned = mentioned
        self._whole = isinstance(main, main_globals.RestoredMain)
        self._stream = io.BytesIO()
        self._references: dict[int, str] = {}
        self._pickler = ForkPickler(
            self._stream, 5, self._on_buffer, references=self._references, by_name=False
        )
        self._root = False
        self._segments: list[tuple[str, str]] = []
        self._modules: dict[str, str] = {}
        self._own = own_modules.own_data()
        self._homes = own_modules.homes(self._own)
        self._borrowed: dict[str, tuple[str, str]] = {}
        self._lost = {name: (type(self._main.get(name)).__name__, why) for name, why in hopeless.items()}
        self._apart: dict[str, Any] = dict(main_globals.pending(main))
        self._externals: dict[str, Any] = {}

    def run(self) -> None:
        roots = [
            name
            for name, value in self._main.items()
            if name not in _OURS and is_of_main(value, vars(self._module))
        ]
        done = set(roots) | _OURS
        self._root = True
        for name in roots:
            self._put(name)
        self._root = False
        while True:
            names = self._names | self._pickler.names
            everything = self._whole or not names.isdisjoint(DYNAMIC)
            wanted = [name for name in self._main if name not in done and (everything or name in names)]
            if not wanted:
                break
            done.update(wanted)
            for name in wanted:
                self._put(name)
        self._put_late_classes()
        for name in self._main.keys() - done:
            value = self._main[name]
            self._apart[name] = Left(type(value).__name__, _module_name(value))

    def result(self) -> Capture:
        spec = getattr(self._module, "__spec__", None)
        image = {
            "attributes": {
                name: self._main[name] for name in _MODULE_NAMES if isinstance(self._main.get(name), str)
            },
            "spec": spec and (spec.name, spec.origin),
            "stream": self._stream.getvalue(),
            "segments": self._segments,
            "modules": self._modules,
            "reached": submodules.reached(
                set(self._modules.values()), self._mentioned | self._pickler.mentioned
            ),
            "borrowed": self._borrowed,
            "lost": self._lost,
            "apart": {name: (type(entry).__name__, tuple(entry)) for name, entry in self._apart.items()},
            "own": {name: self._pack_own(data) for name, data in self._own.items()},
            "lines": dict(_virtual_lines(self._pickler.files)),
        }
        return Capture(pickle.dumps(image, 5), self._externals)

    def _put(self, name: str) -> None:
        value = self._main[name]
        module = _module_name(value)
        if name in self._lost:
            self._references[id(value)] = name
            return
        if module:
            self._modules[name] = module
            return
        if not self._root and id(value) in self._homes:
            self._borrowed[name] = self._homes[id(value)]
            return
        if not self._root and (
            name in _suspects or (type(value) in _SIZED and sys.getsizeof(value) > LARGE // 2)
        ):
            self._put_apart(name, value)
            return
        if self._root and name in _suspects and self._refused(name, value):
            return
        start = self._stream.tell()
        try:
            self._pickler.dump(value)
        except Exception as error:
            raise _SuspectError(name) from error
        if self._stream.tell() - start > LARGE and not self._root:
            raise _SuspectError(name)
        self._segments.append((name, type(value).__name__))

    def _refused(self, name: str, value: Any) -> bool:
        """Whether a function or class of `__main__` cannot be pickled at all; it is lost then."""
        try:
            ForkPickler(io.BytesIO(), 5, references={}, by_name=False).dump(value)
        except Exception as error:  # noqa: BLE001 - kept, and raised where the global is used
            self._lost[name] = type(value).__name__, f"{type(error).__name__}: {error}"
            self._references[id(value)] = name
            return True
        return False

    def _put_apart(self, name: str, value: Any) -> None:
        try:
            self._apart[name] = self._pack(value)
        except Exception as error:  # noqa: BLE001 - kept, and raised where the global is used
            self._lost[name] = type(value).__name__, f"{type(error).__name__}: {error}"
        self._references[id(value)] = name

    def _pack(self, value: Any) -> Apart:
        buffer, buffers = io.BytesIO(), []

        def keep(view: pickle.PickleBuffer) -> bool:
            raw = _raw(view)
            if raw is None or raw.nbytes < _SMALL_BUFFER:
                return True
            buffers.append(raw)
            return False

        pickler = _solo(buffer, self._references, value, keep)
        pickler.dump(value)
        self._names |= pickler.names
        self._mentioned |= pickler.mentioned
        stream: Any = buffer.getvalue()
        if len(stream) > LARGE:
            stream = self._keep(stream)
        kept = tuple((self._keep(raw), raw.readonly) for raw in buffers)
        return Apart(type(value).__name__, stream, kept)

    def _pack_own(self, data: dict[str, Any]) -> tuple[Any, ...]:
        try:
            return tuple(self._pack(data))
        except Exception:  # noqa: BLE001 - one of them; the import's own value will do for that one
            return tuple(self._pack({name: value for name, value in data.items() if self._packs(value)}))

    def _packs(self, value: Any) -> bool:
        try:
            _solo(io.BytesIO(), self._references, value).dump(value)
        except Exception:  # noqa: BLE001 - see _pack_own
            return False
        return True

    def _keep(self, raw: Any) -> str:
        digest = hashlib.sha256(raw).hexdigest()
        self._externals[digest] = raw
        return digest

    def _put_late_classes(self) -> None:
        modules = [sys.modules[name] for name in self._modules.values() if name != "__main__"]
        classes = own_modules.late_classes(iter(modules))
        if classes and _LATE not in _suspects:
            self._main[_LATE] = classes
            self._put(_LATE)
            del self._main[_LATE]

    def _on_buffer(self, view: pickle.PickleBuffer) -> bool:
        raw = _raw(view)
        if raw is not None and raw.nbytes > LARGE and not self._root:
            raise _LargeBufferError
        return True


def _solo(file: Any, references: dict[int, str], value: Any, on_buffer: Any = None) -> ForkPickler:
    known = {**main_callables(vars(sys.modules["__main__"])), **references}
    known.pop(id(value), None)
    return ForkPickler(file, 5, on_buffer, references=known)


def _raw(view: pickle.PickleBuffer) -> memoryview | None:
    try:
        return view.raw()
    except BufferError:
        return None


def _module_name(value: Any) -> str:
    """Name of the module that `value` is; empty when it is none, or none that can be imported."""
    if not issubclass(type(value), types.ModuleType):
        return ""
    name = str(value.__name__)
    return name if sys.modules.get(name) is value else ""


def _virtual_lines(files: set[str]) -> Iterator[tuple[str, list[str]]]:
    """Source lines that are in no file: cells of a notebook, lines of a prompt."""
    for file in files:
        entry = linecache.cache.get(file)
        if entry is not None and len(entry) == 4 and entry[1] is None:
            yield file, entry[2]
