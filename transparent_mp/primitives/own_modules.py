"""The program's own modules: what a fresh import of them, in a process, would lack.

Own is a module with a file that is neither installed nor the standard library's nor ours. What `fork`
hands down and an import does not:

- data globals as they are at `start()`: `own_data` finds them, and `overlay` lays them over the module;
- classes and functions put into a module at run time (`deap.creator`): `made_late` guesses them by the
  module's own code not naming them, and `late` prefers what the import has, so a wrong guess costs bytes
  and nothing else.

It does not find or load modules; the worker's importer does.
"""

from __future__ import annotations
import __future__

import builtins
import contextlib
import functools
import importlib
import importlib.util
import io
import logging
import os
import pickle
import re
import site
import sys
import sysconfig
import threading
import types
from collections.abc import Iterator
from typing import Any, Callable

try:
    from cloudpickle import cloudpickle as _cloudpickle  # type: ignore[import-untyped]
except ImportError as error:
    other = getattr(sys.modules.get("cloudpickle"), "__file__", None)
    raise ImportError(
        f"processes are pickled with the package cloudpickle; this name has {other or 'nothing'}: "
        "give the program's module another one, or install cloudpickle",
        name="cloudpickle",
        path=other,
    ) from error

_PACKAGE = __name__.partition(".")[0]
_NOT_OWN = (_PACKAGE, "__main__", "__mp_main__", "sitecustomize", "usercustomize")
#: Types whose objects a fresh import makes just as well, and whose identity its code relies on.
_FRESH = frozenset((
    object, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, re.Pattern, logging.Logger,
    logging.RootLogger, type(threading.Lock()), type(threading.RLock()), threading.local,
    # `annotations`, in most modules.
    type(__future__.annotations),
))  # fmt: skip
#: Types whose objects nobody can tell apart from an equal one.
_ATOMS = (int, float, complex, bool, str, bytes, tuple, frozenset, type(None), type(...))
#: Folders of what is installed.
_INSTALLED = ("site-packages", "dist-packages", "lib-dynload")


@functools.lru_cache(maxsize=1)
def _installed_roots() -> tuple[str, ...]:
    paths = [*sysconfig.get_paths().values(), *site.getsitepackages(), site.getusersitepackages()]
    stdlib = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    return tuple({path.rstrip("/") + "/" for path in paths if path in stdlib or path.endswith(_INSTALLED)})


@functools.lru_cache(maxsize=8192)
def _own_file(file: str) -> bool:
    # A .pth line or PYTHONPATH may bring in another interpreter's packages: they are installed too.
    elsewhere = any(f"/{folder}/" in file for folder in _INSTALLED)
    return not elsewhere and not file.startswith(_installed_roots()) and not file.startswith("<")


@functools.lru_cache(maxsize=1024)
def _installed_in(folder: str) -> frozenset[str]:
    """Modules and packages that an installer has put into a directory: `pip install --target`."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        for entry in os.listdir(folder):
            if entry.endswith(".dist-info"):
                with open(
                    os.path.join(folder, entry, "RECORD"), encoding="utf-8", errors="replace"
                ) as record:
                    found.update(re.split(r"[/.]", line, maxsplit=1)[0] for line in record)
    return frozenset(found)


def _folder(name: str, file: str) -> str:
    """The directory on sys.path from which the module came."""
    up = name.count(".") + os.path.basename(file).startswith("__init__.")
    return os.path.dirname(file) if up == 0 else os.path.dirname(file).rsplit(os.sep, up)[0]


def is_own(module: Any) -> bool:
    """Whether the program brought this module along."""
    # Not getattr: some modules import half the world when they are asked for an attribute.
    space = vars(module) if isinstance(module, types.ModuleType) else {}
    name, file = space.get("__name__"), space.get("__file__")
    if not isinstance(name, str) or not isinstance(file, str) or not _own_file(file):
        return False
    top = name.partition(".")[0]
    return top not in _NOT_OWN and top not in _installed_in(_folder(name, file))


class _Known:
    """The modules that there were when their names were last looked at, and which of them are own."""

    last: tuple[tuple[str, ...], tuple[int, ...], list[str]] = (), (), []


def own_names() -> list[str]:
    """Names of the imported modules that the program brought along."""
    # Asked several times at each start, and answered anew when anything was imported since.
    # By number: who kept the modules themselves would have them die last, at the interpreter's end.
    names, modules = tuple(sys.modules), tuple(map(id, sys.modules.values()))
    known = _Known.last
    if names != known[0] or modules != known[1]:
        found = [name for name in names if is_own(sys.modules.get(name))]
        known = _Known.last = names, modules, found
    return list(known[2])


def own_data() -> dict[str, dict[str, Any]]:
    """Data globals of each of the program's own modules that has been imported."""
    found = {}
    for name in own_names():
        module = sys.modules.get(name)
        data = data_globals(module) if isinstance(module, types.ModuleType) else {}
        if data:
            found[name] = data
    return found


def data_globals(module: types.ModuleType) -> dict[str, Any]:
    """Globals that a program may have changed since it imported the module."""
    return {
        name: value
        for name, value in list(vars(module).items())
        if not (name.startswith("__") and name.endswith("__"))
        and type(value) not in _FRESH
        and not issubclass(type(value), type)
        and type(value).__module__ != "typing"
    }


def is_made(module: types.ModuleType) -> bool:
    """Whether the program made the module at run time, so that nobody can import it."""
    space = vars(module)
    return space.get("__spec__") is None and "__file__" not in space and space.get("__loader__") is None


@contextlib.contextmanager
def by_value(module: types.ModuleType) -> Iterator[None]:
    """Functions and classes of the module are pickled by value in this block."""
    if module.__name__ in _cloudpickle.list_registry_pickle_by_value():
        yield
        return
    _cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        _cloudpickle.unregister_pickle_by_value(module)


def make(packed: dict[str, Callable[[], dict[str, Any]]]) -> None:
    """Make modules that the program made; `packed` unpacks what is in each."""
    for name in packed:
        module = sys.modules[name] = types.ModuleType(name)
        # As exec leaves it. Before Python 3.10 a function whose globals lack it has no builtins at all.
        vars(module)["__builtins__"] = vars(builtins)
    for name, unpack in packed.items():
        vars(sys.modules[name]).update(unpack())


def homes(own: dict[str, dict[str, Any]]) -> dict[int, tuple[str, str]]:
    """Where an object lives that `__main__` may have got by `from own_module import name`, by identity."""
    return {
        id(value): (module, name)
        for module, data in own.items()
        for name, value in data.items()
        if type(value) not in _ATOMS
    }


def imported(name: str) -> types.ModuleType:
    """The module, imported if need be; not the parent that `__import__` would give."""
    return sys.modules.get(name) or importlib.import_module(name)


def none_by_value() -> bool:
    """Whether functions and classes of all modules are pickled by reference now, where they can be."""
    return not _cloudpickle.list_registry_pickle_by_value()


def importable(obj: Any) -> bool:
    """Whether `obj` can be asked for by module and name."""
    value: Any = sys.modules.get(getattr(obj, "__module__", None) or "")
    if value is None or value.__name__ in _cloudpickle.list_registry_pickle_by_value():
        return False
    for part in obj.__qualname__.split("."):
        value = getattr(value, part, None)
    return value is obj


def made_late(obj: Any) -> bool:
    """Whether the code of its module does not name `obj`, so that it may have been put there at run time."""
    if _is_standard(obj.__module__):
        return False
    names = _named_by_code(obj.__module__)
    return names is not None and obj.__qualname__.partition(".")[0] not in names


@functools.lru_cache(maxsize=4096)
def _is_standard(module: str) -> bool:
    top = module.partition(".")[0]
    if top in (_PACKAGE, "builtins", "cloudpickle", "numpy"):
        return True
    file = getattr(sys.modules.get(top), "__file__", None)
    stdlib = sysconfig.get_path("stdlib")
    return file is None or (file.startswith(stdlib) and "-packages" not in file)


@functools.lru_cache(maxsize=4096)
def _named_by_code(module: str) -> frozenset[str] | None:
    """Names in the module's top-level code; None when there is no code, or it imports a star."""
    spec = getattr(sys.modules.get(module), "__spec__", None)
    get_code = getattr(getattr(spec, "loader", None), "get_code", None)
    try:
        code = get_code(module) if get_code else None
    except (ImportError, OSError, SyntaxError):
        return None
    return None if code is None or ("*",) in code.co_consts else frozenset(code.co_names)


def reduce_class_by_value(cls: type) -> Any:
    """Cloudpickle's by-value form of a class that could be had by name."""
    return _cloudpickle._dynamic_class_reduce(cls)


def late(module: str, qualname: str, copy: bytes) -> Any:
    """What a fresh import of `module` calls `qualname`, or else the copy, put there for whoever asks next."""
    home = imported(module)
    value: Any = home
    for part in qualname.split("."):
        value = getattr(value, part, None)
    if value is None:
        value = pickle.load(io.BytesIO(copy))
        if "." not in qualname:
            setattr(home, qualname, value)
    return value


def late_classes(modules: Iterator[types.ModuleType]) -> list[type]:
    """Classes put at run time into `modules`."""
    return [
        value
        for module in modules
        if not _is_standard(module.__name__)
        for value in list(vars(module).values())
        if isinstance(value, type) and value.__module__ == module.__name__ and made_late(value)
    ]
