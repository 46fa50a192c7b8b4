"""`__main__` as it is at `start()`: captured at the client, restored in the process (start method fork).

The image holds, by what happens to a global:

- functions and classes of `__main__`, and data that some code of it loads by name: eager, pickled with
  one memo so that what they share stays shared; functions run in the restored module's dict;
- what is larger than `LARGE`: only that it is there; a snapshot of the client's memory answers, by digest,
  when it is first used. Where there can be no snapshot, its pickle and buffers go by digest at once;
- data that no code names: only its type; it is asked of the snapshot, or if there is none of the client
  as it is by then, when touched (`__main__.x`), which nearly always it is not;
- modules: by name (those that the program made at run time by value), and submodules that code reaches
  through them; an object that a module of the program's own holds too: by that module and name;
- data of the program's own modules: see `own_modules` and `overlay`;
- what cannot be pickled, or not be rebuilt over there: a stand-in that says so when it is used.

A pickle may be thrown away and made again in another part of the image: reducers must not count on
each result being sent. The spawning popen must be set by the caller, as for any process object.

It does not talk to anyone: `Sources` does.
"""

from __future__ import annotations

import functools
import importlib.machinery
import io
import linecache
import pickle
import sys
import types
from typing import Any, Callable, Protocol

from transparent_mp.primitives import main_globals, overlay, own_modules
from transparent_mp.primitives.main_capture import Capture, capture, late_global
from transparent_mp.primitives.packing import ENTRIES, Apart, Kept, Left
from transparent_mp.primitives.tolerant import TolerantUnpickler

__all__ = ["Capture", "Sources", "capture", "late_global", "restore"]


class Sources(Protocol):
    """How a process gets what its image leaves out."""

    def content(self, digest: str, snapshot: str = "") -> Any:
        """Bytes of an external; a writable buffer is used without copying it.

        `snapshot`: the one that has it. Raises LookupError when that is gone.
        """

    def late_global(self, name: str) -> bytes:
        """What `late_global(name)` answers at the client."""

    def kept(self, snapshot: str, module: str, name: str) -> tuple[Any, ...]:
        """What `packing.kept(module, name)` answers in the snapshot. Raises LookupError when it is gone."""

    def source(self, file: str) -> str | None:
        """Text of a source file of the client."""


def restore(image: bytes, sources: Sources) -> None:
    """Make `__main__` of this process what the image says. Once, before the process object is unpickled."""
    parts = pickle.loads(image)
    main = main_globals.RestoredMain()
    space = vars(main)
    space.update(parts["attributes"])
    loader: Any = _MainLoader(space.get("__file__"), sources)
    main.__loader__ = loader
    if parts["spec"]:
        name, origin = parts["spec"]
        main.__spec__ = importlib.machinery.ModuleSpec(name, loader, origin=origin)
    sys.modules["__main__"] = main
    if space.get("__file__"):
        # Warnings look a line up by its file's name alone.
        linecache.lazycache(space["__file__"], space)
    for file, lines in parts["lines"].items():
        linecache.cache[file] = sum(map(len, lines)), None, lines, file
    for name, (kind, fields) in parts["apart"].items():
        entry = _entry(name, ENTRIES[kind](*fields), parts["snapshot"])
        main_globals.expect(main, name, entry, _maker(name, entry, sources), used=kind != "Left")
    _overlay(parts["own"], parts["imported"], parts["snapshot"], sources)
    own_modules.make(
        {name: functools.partial(_unpack, Apart(*fields), sources) for name, fields in parts["made"].items()}
    )
    for name, (kind, why) in parts["lost"].items():
        space[name] = main_globals.lost_global(name, kind, why)
    for name, module in parts["modules"].items():
        space[name] = _imported(name, module)
    for module in parts["reached"]:
        _reach(module)
    for name, (module, attribute) in parts["borrowed"].items():
        home = _imported(name, module)
        if attribute in overlay.awaited().get(module, ()):
            entry = overlay.awaited()[module][attribute]
            main_globals.expect(main, name, entry, functools.partial(getattr, home, attribute), used=True)
        else:
            space[name] = getattr(home, attribute) if isinstance(home, types.ModuleType) else home
    _load(parts["stream"], parts["segments"], space)


def _entry(name: str, entry: Any, snapshot: str) -> Any:
    """The entry, bound to the snapshot that this process was started from, if there is one."""
    if snapshot and isinstance(entry, Left) and not entry.module:
        entry = Kept(entry.kind, "__main__", name)
    if isinstance(entry, Kept) and not entry.snapshot:
        entry = entry._replace(snapshot=snapshot)
    return entry


def _overlay(packed: dict[str, Any], imported: list[str], snapshot: str, sources: Sources) -> None:
    changed = {}
    for module, (fields, late) in packed.items():
        entries = {name: _entry(name, ENTRIES[kind](*rest), snapshot) for name, (kind, rest) in late.items()}
        makers = {name: (entry, _maker(name, entry, sources)) for name, entry in entries.items()}
        data = Apart(*fields)
        changed[module] = overlay.Overlay(functools.partial(_unpack, data, sources), makers, data)
    overlay.lay(changed, imported)


def _maker(name: str, entry: Any, sources: Sources) -> Callable[[], Any]:
    if isinstance(entry, Apart):
        return lambda: _unpack(entry, sources)
    if isinstance(entry, Kept):
        return lambda: _kept(entry, sources)
    if entry.module:
        return lambda: own_modules.imported(entry.module)
    return lambda: pickle.loads(sources.late_global(name))


def _kept(entry: Kept, sources: Sources) -> Any:
    try:
        found = Apart(*sources.kept(entry.snapshot, entry.module, entry.name))
        stream, buffers = _fetched(found, sources, entry.snapshot)
    except LookupError as gone:
        return main_globals.lost_global(entry.name, entry.kind, str(gone.args[0]), entry.module)
    return pickle.loads(stream, buffers=buffers)


def _unpack(entry: Apart, sources: Sources) -> Any:
    stream, buffers = _fetched(entry, sources)
    return pickle.loads(stream, buffers=buffers)


def _fetched(entry: Apart, sources: Sources, snapshot: str = "") -> tuple[Any, list[Any]]:
    """Its pickle and the buffers of that."""
    stream = sources.content(entry.stream, snapshot) if isinstance(entry.stream, str) else entry.stream
    return stream, [_buffer(sources.content(digest, snapshot), ro) for digest, ro in entry.buffers]


def _buffer(content: Any, readonly: bool) -> Any:
    # An array that could be written to must be writable here too.
    return bytearray(content) if memoryview(content).readonly and not readonly else content


def _imported(name: str, module: str) -> Any:
    try:
        return own_modules.imported(module)
    except Exception as error:  # noqa: BLE001 - a module that nobody uses must not keep the process from running
        return main_globals.lost_module(name, module, error)


def _reach(module: str) -> None:
    parent, _, name = module.rpartition(".")
    found = _imported(name, module)
    if isinstance(found, main_globals.LostGlobal) and parent in sys.modules:
        setattr(sys.modules[parent], name, found)


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

    def __init__(self, file: str | None, sources: Sources) -> None:
        self._file = file
        self._sources = sources

    def get_source(self, _name: str) -> str | None:
        return self._sources.source(self._file) if self._file else None

    def is_package(self, _name: str) -> bool:
        return False
