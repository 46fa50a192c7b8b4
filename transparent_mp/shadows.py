"""Modules of the program that hide those our code needs: a `json.py` or `platform.py` beside `main.py`.

Under plain Python the program's wins for the program, and nothing else asks for it. So what our code imports
comes from behind the program's directories and goes out of `sys.modules` again: each side has its own and
knows nothing of the other's. Our modules, and the packages that only we use, get an `__import__` of their own
for that, once such a name has been found; nothing of this is there in a program that hides nothing.

A directory that a program puts in front of `sys.path` hides, for our code, only what has not been imported by
then. What is there at the interpreter's start (`os`, `types`) is hidden by nobody.

Lies below every layer; imports nothing that an interpreter has not imported at its start. It does not bring
the program's modules to a worker: the worker's importer does.
"""

from __future__ import annotations

import builtins
import os
import sys
from _frozen_importlib_external import PathFinder
from _thread import allocate_lock
from zipimport import zipimporter

TYPE_CHECKING = False  # `typing` costs more modules than start-up may import
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_PACKAGE = __name__.partition(".")[0]
#: Packages that only we use. Not cloudpickle, by whose name pickles of ours and of the program's refer to it.
_BROUGHT = ("hiredis", "redis")
_LIBRARY = os.path.dirname(os.__file__)
_SUFFIXES = (".py", ".pyc", ".so")


def hidden(path: Sequence[str]) -> set[str]:
    """Names of modules of the standard library, or brought by us, that what is in front on `path` hides."""
    found: set[str] = set()
    for entry in path[: _end(path)]:
        found.update(_modules_in(os.path.abspath(entry)))
    behind = _behind(path)
    # What is there has been found before the program's directory was on the path.
    found = {name for name in found & _ours() if not _lies_in(sys.modules.get(name), behind)}
    return {name for name in found if name not in _BROUGHT or PathFinder.find_spec(name, behind)}


def step_aside(names: Collection[str] | None = None) -> None:
    """Let the program have its own modules of these names, by default those that it hides by now."""
    global _current
    new = set(hidden(sys.path) if names is None else names)
    if _current is not None:
        new -= _current.names
    if not new:
        return
    if _current is None:
        _current = _Shadows(_behind(sys.path))
        sys.meta_path.insert(0, _current)
    _current.add(new)


def names() -> set[str]:
    """Those for which we have stepped aside."""
    return set() if _current is None else set(_current.names)


class _Shadows:
    """Finds our modules, so as to give them their own `__import__`; and for that one, what is hidden."""

    def __init__(self, path: list[str]) -> None:
        self.names: set[str] = set()
        self._path = path
        self._lock = allocate_lock()
        #: Imports of our code that are under way, in any thread.
        self._depth = 0
        #: What is out of sys.modules: ours, or the program's while we import.
        self._away: dict[str, ModuleType] = {}

    def add(self, names: set[str]) -> None:
        """What is there of these names is ours from here on, unless it is the program's."""
        with self._lock:
            self.names |= names
            for name, module in _take(names).items():
                if _lies_in(module, self._path):
                    self._away[name] = module
                else:
                    sys.modules[name] = module

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec: ModuleSpec | None = None
        if self._depth and path is None and name in self.names:
            spec = PathFinder.find_spec(name, self._path)
        if name.partition(".")[0] in (_PACKAGE, *_BROUGHT):
            spec = spec or self._find_behind(name, path, target)
            if spec is not None:
                self._wrap(spec)
        return spec

    def _find_behind(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        finders = list(sys.meta_path)
        for finder in finders[finders.index(self) + 1 :] if self in finders else finders:
            spec: ModuleSpec | None = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
        return None

    def _wrap(self, spec: ModuleSpec) -> None:
        loader: Any = spec.loader
        if not hasattr(loader, "exec_module"):
            return
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            vars(module)["__builtins__"] = {**vars(builtins), "__import__": self.import_}
            # Classes are made by code that looks for itself in sys.modules (`dataclasses`).
            self._exchange(1)
            try:
                run(module)
            finally:
                self._exchange(-1)

        loader.exec_module = exec_module

    def import_(
        self, name: str, space: Any = None, local: Any = None, names: Any = (), level: int = 0
    ) -> Any:
        """`__import__` of our code."""
        # With a list come those of C code that we call (`pickle`), and what it looks for is the program's.
        if name.partition(".")[0] == _PACKAGE or isinstance(names, list):
            return builtins.__import__(name, space, local, names, level)
        self._exchange(1)
        try:
            return builtins.__import__(name, space, local, names, level)
        finally:
            self._exchange(-1)

    def _exchange(self, step: int) -> None:
        # Not held while something is imported: imports have locks of their own.
        with self._lock:
            self._depth += step
            if self._depth == (1 if step > 0 else 0):
                away, self._away = self._away, _take(self.names)
                sys.modules.update(away)


_current: _Shadows | None = None


def _take(names: Collection[str]) -> dict[str, ModuleType]:
    """Take the modules of these names, and what is below them, out of sys.modules."""
    found = {name: module for name, module in list(sys.modules.items()) if name.partition(".")[0] in names}
    for name in found:
        sys.modules.pop(name, None)
    return found


def _end(path: Sequence[str]) -> int:
    """Where on `path` the standard library begins; what stands behind it hides nothing."""
    return next((at for at, entry in enumerate(path) if entry == _LIBRARY), len(path))


def _behind(path: Sequence[str]) -> list[str]:
    return [*path[_end(path) :], os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]


_all_ours: set[str] = set()


def _ours() -> set[str]:
    """Names of all that our code may import."""
    if not _all_ours:
        _all_ours.update(_names_of_ours())
    return _all_ours


def _names_of_ours() -> set[str]:
    library = getattr(sys, "stdlib_module_names", None)
    if library is None:
        library = {*_modules_in(_LIBRARY), *_modules_in(os.path.join(_LIBRARY, "lib-dynload"))}
    return {*library, *_BROUGHT}.difference(sys.builtin_module_names)


def _modules_in(folder: str) -> list[str]:
    try:
        time = os.stat(folder).st_mtime_ns
        if _listed.get(folder, (0,))[0] != time:
            _listed[folder] = time, _list_modules(folder)
    except OSError:
        return []
    return _listed[folder][1]


#: Folder -> its time stamp, and the modules in it.
_listed: dict[str, tuple[int, list[str]]] = {}


def _list_modules(folder: str) -> list[str]:
    try:
        entries = os.listdir(folder)
    except NotADirectoryError:
        return _list_archived(folder)
    files = [entry.partition(".")[0] for entry in entries if entry.endswith(_SUFFIXES)]
    # A directory without one hides nothing that is to be found behind it.
    packages = [
        entry
        for entry in entries
        if entry.isidentifier() and os.path.isfile(os.path.join(folder, entry, "__init__.py"))
    ]
    return files + packages


def _list_archived(archive: str) -> list[str]:
    try:
        importer: Any = zipimporter(archive)
    except ImportError:
        return []
    # It lists what is in it for itself, and from Python 3.13 on when it is asked.
    files: Collection[str] = getattr(importer, "_get_files", lambda: importer._files)()
    found = []
    for file in files:
        top, _, below = file.partition(os.sep)
        if below == "__init__.py" or (not below and top.endswith(_SUFFIXES)):
            found.append(top.partition(".")[0])
    return found


def _lies_in(module: ModuleType | None, path: Sequence[str]) -> bool:
    """Whether the module is built in, or was found in a directory of `path`."""
    spec = getattr(module, "__spec__", None)
    folder: str | None = getattr(spec, "origin", None)
    if spec is None or folder is None:
        return False
    if folder in ("built-in", "frozen"):
        return True
    for _ in range(spec.name.count(".") + (2 if spec.submodule_search_locations is not None else 1)):
        folder = os.path.dirname(folder)
    return folder in path
