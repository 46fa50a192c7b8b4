"""`__main__` as it is at `start()`: captured at the client, restored in the process (start method fork).

The image holds, by what happens to a global:

- functions and classes of `__main__`, and data that some code of it loads by name: eager, pickled with
  one memo so that what they share stays shared; functions run in the restored module's dict;
- data beyond `LARGE`: its pickle and buffers are `externals` by digest, fetched at first use;
- data that no code names: only its type; its value of that later moment is asked for when touched
  (`__main__.x`), which costs nothing when, as nearly always, it is not;
- modules: by name; data of the program's own modules: see `own_modules`;
- what cannot be pickled, or not be rebuilt over there: a stand-in that says so when it is used.

A pickle may be thrown away and made again in another part of the image: reducers must not count on
each result being sent. The spawning popen must be set by the caller, as for any process object.

It does not talk to anyone: `Sources` does.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import io
import linecache
import pickle
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Optional, Protocol

from transparent_mp.primitives import main_globals, own_modules
from transparent_mp.primitives.reduction import DYNAMIC, ForkPickler, is_of_main, main_callables
from transparent_mp.primitives.tolerant import TolerantUnpickler

#: Bytes from which a global travels by digest.
LARGE = 1 << 20
_SMALL_BUFFER = 1 << 16
_SIZED = (bytes, bytearray, str, list, dict, set, frozenset, tuple)
_MODULE_NAMES = ("__file__", "__package__", "__doc__", "__cached__")
_OURS = frozenset({*_MODULE_NAMES, "__name__", "__spec__", "__loader__", "__builtins__"})


class Sources(Protocol):
    """How a process gets what its image leaves out."""

    def content(self, digest: str) -> Any:
        """Bytes of an external; a writable buffer is used without copying it."""

    def late_global(self, name: str) -> bytes:
        """What `late_global(name)` answers at the client."""

    def source(self, file: str) -> Optional[str]:
        """Text of a source file of the client."""


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


def capture(names: Iterable[str] = ()) -> Capture:
    """Capture `__main__`; `names` are globals that code outside of it loads (`ForkPickler.names`)."""
    main = sys.modules["__main__"]
    while True:
        attempt = _Attempt(main, set(names))
        try:
            attempt.run()
        except _SuspectError as found:
            # Never twice for one name: a suspect is pickled by itself, where its failure is final.
            _suspects.add(found.name)
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

    def __init__(self, main: types.ModuleType, names: set[str]) -> None:
        self._module = main
        self._main = dict(vars(main))
        self._names = names
        self._whole = isinstance(main, main_globals.RestoredMain)
        self._stream = io.BytesIO()
        self._references: dict[int, str] = {}
        self._pickler = ForkPickler(
            self._stream, 5, self._on_buffer, references=self._references, by_name=False
        )
        self._root = False
        self._segments: list[tuple[str, str]] = []
        self._modules: dict[str, str] = {}
        self._lost: dict[str, tuple[str, str]] = {}
        self._apart: dict[str, Any] = dict(main_globals.pending(main))
        self._externals: dict[str, Any] = {}

    def run(self) -> None:
        roots = [name for name, value in self._main.items() if name not in _OURS and is_of_main(value, vars(self._module))]
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
            "attributes": {name: self._main[name] for name in _MODULE_NAMES if isinstance(self._main.get(name), str)},
            "spec": spec and (spec.name, spec.origin),
            "stream": self._stream.getvalue(),
            "segments": self._segments,
            "modules": self._modules,
            "lost": self._lost,
            "apart": {name: (type(entry).__name__, tuple(entry)) for name, entry in self._apart.items()},
            "own": own_modules.capture(self._pack_own),
            "lines": dict(_virtual_lines(self._pickler.files)),
        }
        return Capture(pickle.dumps(image, 5), self._externals)

    def _put(self, name: str) -> None:
        value = self._main[name]
        module = _module_name(value)
        if module:
            self._modules[name] = module
            return
        if not self._root and (name in _suspects or (type(value) in _SIZED and sys.getsizeof(value) > LARGE // 2)):
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
        stream: Any = buffer.getvalue()
        if len(stream) > LARGE:
            stream = self._keep(buffer.getbuffer())
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
        if classes:
            self._main["__tmp_late__"] = classes
            self._put("__tmp_late__")
            del self._main["__tmp_late__"]

    def _on_buffer(self, view: pickle.PickleBuffer) -> bool:
        raw = _raw(view)
        if raw is not None and raw.nbytes > LARGE and not self._root:
            raise _LargeBufferError
        return True


def _solo(file: Any, references: dict[int, str], value: Any, on_buffer: Any = None) -> ForkPickler:
    known = {**main_callables(vars(sys.modules["__main__"])), **references}
    known.pop(id(value), None)
    return ForkPickler(file, 5, on_buffer, references=known)


def _raw(view: pickle.PickleBuffer) -> Optional[memoryview]:
    try:
        return view.raw()
    except BufferError:
        return None


def _module_name(value: Any) -> str:
    if isinstance(value, types.ModuleType) and sys.modules.get(value.__name__) is value:
        return value.__name__
    return ""


def _virtual_lines(files: set[str]) -> Iterator[tuple[str, list[str]]]:
    """Source lines that are in no file: cells of a notebook, lines of a prompt."""
    for file in files:
        entry = linecache.cache.get(file)
        if entry is not None and len(entry) == 4 and entry[1] is None:
            yield file, entry[2]


def restore(image: bytes, sources: Sources) -> None:
    """Make `__main__` of this process what the image says. Once, before the process object is unpickled."""
    parts = pickle.loads(image)
    main = main_globals.RestoredMain()
    space = vars(main)
    space.update(parts["attributes"])
    loader = main.__loader__ = _MainLoader(space.get("__file__"), sources)
    if parts["spec"]:
        name, origin = parts["spec"]
        main.__spec__ = importlib.machinery.ModuleSpec(name, loader, origin=origin)
    sys.modules["__main__"] = main
    for file, lines in parts["lines"].items():
        linecache.cache[file] = sum(map(len, lines)), None, lines, file
    for name, (kind, fields) in parts["apart"].items():
        entry = Apart(*fields) if kind == "Apart" else Left(*fields)
        main_globals.expect(main, name, entry, _Maker(name, entry, sources), used=kind == "Apart")
    own_modules.overlay(parts["own"], lambda fields: _unpack(Apart(*fields), sources))
    for name, (kind, why) in parts["lost"].items():
        space[name] = main_globals.lost_global(name, kind, why)
    for name, module in parts["modules"].items():
        space[name] = _imported(name, module)
    _load(parts["stream"], parts["segments"], space)


class _Maker(NamedTuple):
    name: str
    entry: Any
    sources: Sources

    def __call__(self) -> Any:
        if isinstance(self.entry, Apart):
            return _unpack(self.entry, self.sources)
        if self.entry.module:
            return own_modules.imported(self.entry.module)
        return pickle.loads(self.sources.late_global(self.name))


def _unpack(entry: Apart, sources: Sources) -> Any:
    stream = sources.content(entry.stream) if isinstance(entry.stream, str) else entry.stream
    return pickle.loads(stream, buffers=[_buffer(sources.content(digest), ro) for digest, ro in entry.buffers])


def _buffer(content: Any, readonly: bool) -> Any:
    # An array that could be written to must be writable here too.
    return bytearray(content) if memoryview(content).readonly and not readonly else content


def _imported(name: str, module: str) -> Any:
    try:
        return own_modules.imported(module)
    except Exception as error:  # noqa: BLE001 - a module that nobody uses must not keep the process from running
        return main_globals.lost_module(name, module, error)


def _load(stream: bytes, segments: list[tuple[str, str]], space: dict[str, Any]) -> None:
    unpickler = pickle.Unpickler(io.BytesIO(stream))
    loaded = {}
    try:
        for name, _ in segments:
            loaded[name] = space[name] = unpickler.load()
    except Exception:  # noqa: BLE001 - once more, keeping all that does not depend on what failed
        tolerant = TolerantUnpickler(io.BytesIO(stream))
        for name, kind in segments:
            space[name] = tolerant.load_global(name, kind)
    space.pop("__tmp_late__", None)


class _MainLoader:
    """Gives tracebacks and `inspect` the source of the client's script."""

    def __init__(self, file: Optional[str], sources: Sources) -> None:
        self._file = file
        self._sources = sources

    def get_source(self, _name: str) -> Optional[str]:
        return self._sources.source(self._file) if self._file else None

    def is_package(self, _name: str) -> bool:
        return False
