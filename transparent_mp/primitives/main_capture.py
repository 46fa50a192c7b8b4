"""The client's half of `main_module`: what of `__main__` goes into an image, and in which form.

One pickler writes all eager globals, a segment each, so that one memo joins them. A global that cannot be
written so, or turns out to be large, spoils the stream: the attempt is given up and made again without it.
What was found so is remembered, so that the next `start()` succeeds at once.

A large global is left with a snapshot of this moment's memory (`Keep`). Where there can be none (in a
process on a worker), it is pickled by itself, and its parts go by digest.

It does not restore anything, and does not know how memory is kept.
"""

from __future__ import annotations

import io
import linecache
import pickle
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any, Callable, NamedTuple

from transparent_mp.primitives import main_globals, overlay, own_modules, packing, submodules, unchanged
from transparent_mp.primitives.packing import Apart, Bounded, Kept, Left, Solo, TooLargeError
from transparent_mp.primitives.reduction import DYNAMIC, ForkPickler, is_of_main

#: Name of the segment that makes classes for other modules.
_LATE = "__tmp_late__"
_MODULE_NAMES = ("__file__", "__package__", "__doc__", "__cached__")
_OURS = frozenset({*_MODULE_NAMES, "__name__", "__spec__", "__loader__", "__builtins__"})

#: Keeps the memory of this moment, and answers the name by which a process asks for it.
Keep = Callable[[], str]


class Capture(NamedTuple):
    """An image, and what it refers to by digest (buffers of live objects: send or copy them now)."""

    image: bytes
    externals: dict[str, Any]
    #: Modules that it refers to, as far as known.
    modules: set[str]


def capture(names: Iterable[str] = (), mentioned: Iterable[str] = (), keep: Keep | None = None) -> Capture:
    """Capture `__main__`; `names` and `mentioned` are those of code outside of it (see `ForkPickler`).

    `keep` is called when something large is left behind.
    """
    main = sys.modules["__main__"]
    hopeless: dict[str, str] = {}
    tried: set[str] = set()
    while True:
        attempt = _Attempt(main, set(names), set(mentioned), hopeless, keep)
        try:
            attempt.run()
        except TooLargeError:
            # Noted by now, so it is left out of the next attempt.
            continue
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
        return Solo({}).pack_whole(main[name])
    except Exception as error:  # noqa: BLE001 - whatever a reducer raises is what the user shall read
        ForkPickler(buffer).dump(main_globals.lost_global(name, kind, f"{type(error).__name__}: {error}"))
    return buffer.getvalue()


#: Globals that could not be pickled together with the others: a hint that saves the attempt next time.
_suspects: set[str] = set()


class _SuspectError(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class _Attempt:
    """One try at the joint pickle."""

    def __init__(
        self,
        main: types.ModuleType,
        names: set[str],
        mentioned: set[str],
        hopeless: dict[str, str],
        keep: Keep | None,
    ) -> None:
        self._module = main
        self._main = dict(vars(main))
        self._names = names
        self._mentioned = mentioned
        self._keep = keep
        self._whole = isinstance(main, main_globals.RestoredMain)
        self._stream = Bounded()
        self._references: dict[int, str] = {}
        self._pickler = ForkPickler(
            self._stream, 5, self._on_buffer, references=self._references, by_name=False
        )
        self._solo = Solo(self._references)
        self._root = False
        self._bounded = True
        self._segments: list[tuple[str, str]] = []
        self._modules: dict[str, str] = {}
        self._made: dict[str, Any] = {}
        self._own = own_modules.own_data()
        self._homes = own_modules.homes(self._own)
        self._borrowed: dict[str, tuple[str, str]] = {}
        self._lost = {name: (type(self._main.get(name)).__name__, why) for name, why in hopeless.items()}
        self._apart: dict[str, Any] = dict(main_globals.pending(main))
        self._packed_own: dict[str, Any] = {}

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
            names = self._names | self._pickler.names | self._solo.names
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
        for name in {**self._own, **overlay.awaited()}:
            self._packed_own[name] = self._pack_own(name, self._own.get(name, {}))
        # What this process has for modules that it has not imported goes on as it came.
        self._packed_own.update(overlay.waiting())

    def result(self) -> Capture:
        spec = getattr(self._module, "__spec__", None)
        kept = [
            *self._apart.values(),
            *(entry for _, late in self._packed_own.values() for entry in late.values()),
        ]
        needs = self._keep is not None and any(isinstance(entry, Kept) for entry in kept)
        mentioned = self._mentioned | self._pickler.mentioned | self._solo.mentioned
        reached = submodules.reached(set(self._modules.values()), mentioned)
        image = {
            "attributes": {
                name: self._main[name] for name in _MODULE_NAMES if isinstance(self._main.get(name), str)
            },
            "spec": spec and (spec.name, spec.origin),
            "stream": self._stream.getvalue(),
            "segments": self._segments,
            "modules": self._modules,
            "made": {name: tuple(entry) for name, entry in self._made.items()},
            "reached": reached,
            "borrowed": self._borrowed,
            "lost": self._lost,
            "apart": _plain(self._apart),
            "own": {name: (tuple(data), _plain(late)) for name, (data, late) in self._packed_own.items()},
            "imported": overlay.own_names(),
            "lines": dict(_virtual_lines(self._pickler.files)),
            # Last of all: what was found until now stands in it too.
            "snapshot": self._keep() if self._keep is not None and needs else "",
        }
        modules = {*self._modules.values(), *reached, *self._pickler.modules}
        return Capture(pickle.dumps(image, 5), self._solo.externals, modules)

    def _put(self, name: str) -> None:
        value = self._main[name]
        module = _module_name(value)
        if name in self._lost:
            self._references[id(value)] = name
            return
        if module:
            self._modules[name] = module
            if own_modules.is_made(value) and module not in self._made:
                self._made[module] = self._pack_made(value)
            return
        if not self._root and id(value) in self._homes:
            self._borrowed[name] = self._homes[id(value)]
            return
        if self._may_be_left(name) and packing.is_large("__main__", name, value):
            self._put_large(name, value)
            return
        if name in _suspects and (self._refused(name, value) if self._root else self._put_apart(name, value)):
            return
        self._bounded = self._may_be_left(name)
        self._stream.allow(any_size=not self._bounded)
        try:
            self._pickler.dump(value)
        except TooLargeError:
            packing.note_large("__main__", name, value)
            raise
        except Exception as error:
            raise _SuspectError(name) from error
        self._segments.append((name, type(value).__name__))

    def _may_be_left(self, name: str) -> bool:
        # Functions and classes refer to each other by identity: pickled one by one they would come apart.
        return name != _LATE and (self._keep is not None or not self._root)

    def _put_large(self, name: str, value: Any) -> None:
        if self._keep is None:
            self._put_apart(name, value)
        else:
            self._apart[name] = Kept(type(value).__name__, "__main__", name)
            self._references[id(value)] = name

    def _refused(self, name: str, value: Any) -> bool:
        """Whether a function or class of `__main__` cannot be pickled at all; it is lost then."""
        try:
            ForkPickler(io.BytesIO(), 5, references={}, by_name=False).dump(value)
        except Exception as error:  # noqa: BLE001 - kept, and raised where the global is used
            self._lost[name] = type(value).__name__, f"{type(error).__name__}: {error}"
            self._references[id(value)] = name
            return True
        return False

    def _put_apart(self, name: str, value: Any) -> bool:
        try:
            self._apart[name] = self._solo.pack(value) if self._keep is None else self._solo.pack_small(value)
        except TooLargeError:
            packing.note_large("__main__", name, value)
            raise
        except Exception as error:  # noqa: BLE001 - kept, and raised where the global is used
            self._lost[name] = type(value).__name__, f"{type(error).__name__}: {error}"
        self._references[id(value)] = name
        return True

    def _pack_own(self, module: str, data: dict[str, Any]) -> tuple[Apart, dict[str, Kept]]:
        """What a module has changed since it was imported, and what of that waits to be used."""
        late: dict[str, Kept] = dict(overlay.awaited().get(module, {}))
        data = {name: value for name, value in data.items() if not self._left_of(module, name, value, late)}
        try:
            return self._pack_data(module, data), late
        except Exception:  # noqa: BLE001 - one of them; the import's own value will do for that one
            small = {name: value for name, value in data.items() if self._packs(module, name, value, late)}
        # Together they may be large still; the bound is a matter of cost only.
        return self._solo.pack(small), late

    def _pack_data(self, module: str, data: dict[str, Any]) -> Apart:
        if self._keep is None:
            return self._solo.pack(data)

        def pack() -> unchanged.Packed:
            solo = Solo(self._references)
            return solo.pack_small(data), solo.names, solo.mentioned

        found, names, mentioned = unchanged.packed(module, data, self._references, pack)
        self._solo.names |= names
        self._solo.mentioned |= mentioned
        return found

    def _pack_made(self, module: types.ModuleType) -> Apart:
        data = {name: value for name, value in vars(module).items() if not name.startswith("__")}
        with own_modules.by_value(module):
            try:
                return self._solo.pack(data)
            except Exception:  # noqa: BLE001 - what of it can be had is better than none
                return self._solo.pack({name: value for name, value in data.items() if self._pickles(value)})

    def _pickles(self, value: Any) -> bool:
        try:
            Solo(self._references).pack(value)
        except Exception:  # noqa: BLE001 - see _pack_made
            return False
        return True

    def _left_of(self, module: str, name: str, value: Any, late: dict[str, Kept]) -> bool:
        if self._keep is None or not packing.is_large(module, name, value):
            return False
        late[name] = Kept(type(value).__name__, module, name)
        return True

    def _packs(self, module: str, name: str, value: Any, late: dict[str, Kept]) -> bool:
        try:
            if self._keep is None:
                Solo(self._references).pack(value)
            else:
                Solo(self._references).pack_small(value)
        except TooLargeError:
            packing.note_large(module, name, value)
            late[name] = Kept(type(value).__name__, module, name)
            return False
        except Exception:  # noqa: BLE001 - see _pack_own
            return False
        return True

    def _put_late_classes(self) -> None:
        modules = [sys.modules[name] for name in self._modules.values() if name != "__main__"]
        classes = own_modules.late_classes(iter(modules))
        if classes and _LATE not in _suspects:
            self._main[_LATE] = classes
            self._put(_LATE)
            del self._main[_LATE]

    def _on_buffer(self, view: pickle.PickleBuffer) -> bool:
        return packing.refuse_large(view) if self._bounded else True


def _plain(entries: dict[str, Any]) -> dict[str, tuple[str, tuple[Any, ...]]]:
    return {name: (type(entry).__name__, tuple(entry)) for name, entry in entries.items()}


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
