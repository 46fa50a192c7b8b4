"""What a program has registered with interpreter and standard library: hooks, reducers, finders, dialects.

Each is a pair of functions for a row of `settings`: what differs from a fresh interpreter, which is empty for
nearly every program, and how it is registered in a process.

It does not hold what a program has put into modules that are not its own; nobody knows what was there. Nor
codecs and handlers of their errors, which the interpreter does not list.
"""

from __future__ import annotations

import _thread
import builtins
import contextlib
import copyreg
import functools
import logging
import operator
import sys
import threading
import types
from importlib.machinery import PathFinder
from multiprocessing import reduction
from typing import Any

from transparent_mp.primitives import own_modules

_PACKAGE = __name__.partition(".")[0]
_ENTRIES: Any = copyreg.dispatch_table
_HOOKS: tuple[tuple[Any, str, str], ...] = (
    (sys, "excepthook", "__excepthook__"),
    (sys, "displayhook", "__displayhook__"),
    (sys, "unraisablehook", "__unraisablehook__"),
    (threading, "excepthook", "__excepthook__"),
)
_THREADS: Any = vars(_thread)["_excepthook"]
#: Where the values come from that an interpreter has in `builtins`.
_STANDARD = ("builtins", "io", "_io", _PACKAGE)
_SITE = ("_sitebuiltins", _PACKAGE)
_CONSTANTS = (bool, type(None), type(...), type(NotImplemented))
_MAIN = ("__main__", "__mp_main__")
#: What has been found to be the interpreter's among the builtins, which are looked at in each start.
_standard: dict[str, Any] = {}
#: All builtins, when there were none but the interpreter's.
_untouched: tuple[tuple[str, ...], tuple[Any, ...]] = (), ()


def names() -> dict[str, Any]:
    """Names that the program has put among the builtins, as `gettext.install` does."""
    global _untouched
    space = vars(builtins)
    known, values = _untouched
    if tuple(space) == known and all(map(operator.is_, space.values(), values)):
        return {}
    found = _names()
    if not found:
        _untouched = tuple(space), tuple(space.values())
    return found


def _names() -> dict[str, Any]:
    found = {}
    for name, value in list(vars(builtins).items()):
        if _standard.get(name, _standard) is value or name.startswith("__"):
            continue
        if _is_standard(value):
            _standard[name] = value
        else:
            found[name] = value
    return found


def add_names(found: dict[str, Any]) -> None:
    """Put them there."""
    vars(builtins).update(found)


def _is_standard(value: Any) -> bool:
    if isinstance(value, _CONSTANTS):
        return True
    named = isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType))
    home = value.__module__ if named else type(value).__module__
    # An instance of a standard type may be anything of the program's.
    return str(home).partition(".")[0] in (_STANDARD if named else _SITE)


def hooks() -> dict[str, Any]:
    """Hooks for exceptions that nobody catches, and for what a prompt shows."""
    return {
        f"{owner.__name__}.{name}": getattr(owner, name)
        for owner, name, original in _HOOKS
        # Before Python 3.10 `threading` keeps no original.
        if getattr(owner, name) is not getattr(owner, original, _THREADS)
    }


def set_hooks(found: dict[str, Any]) -> None:
    """Set them."""
    for name, hook in found.items():
        owner, _, attribute = name.partition(".")
        setattr(sys.modules[owner], attribute, hook)


def reducers() -> tuple[list[Any], list[Any]]:
    """Functions of the program's own that reduce objects, for `copyreg` and for `ForkingPickler`."""
    extra: Any = reduction.ForkingPickler._extra_reducers  # type: ignore[attr-defined]
    both = [
        [(kind, function) for kind, function in list(table.items()) if _is_programs(function)]
        for table in (_ENTRIES, extra)
    ]
    return both[0], both[1]


def add_reducers(found: tuple[list[Any], list[Any]]) -> None:
    """Register them with both."""
    for kind, function in found[0]:
        copyreg.pickle(kind, function)
    for kind, function in found[1]:
        reduction.ForkingPickler.register(kind, function)


def _is_programs(function: Any) -> bool:
    home = getattr(function, "__module__", None)
    return home in _MAIN or own_modules.is_own(sys.modules.get(home or ""))


def finders() -> list[tuple[bool, Any]]:
    """Of modules, on `sys.meta_path`: the program's own, and whether each stands before the usual one."""
    usual = _place_of_usual()
    return [(at < usual, finder) for at, finder in enumerate(sys.meta_path) if _is_programs(_kind(finder))]


def add_finders(found: list[tuple[bool, Any]]) -> None:
    """Put them where they stood, unless the module that has their class has done so here."""
    front: list[Any] = []
    behind: list[Any] = []
    kinds = {_kind(finder) for finder in sys.meta_path}
    for before, finder in found:
        if _kind(finder) not in kinds:
            (front if before else behind).append(finder)
    at = _place_of_usual() + 1
    # What these find, the client would only be asked for.
    sys.meta_path[at:at] = behind
    sys.meta_path[:0] = front


def _kind(finder: Any) -> Any:
    return finder if isinstance(finder, type) else type(finder)


def _place_of_usual() -> int:
    path: list[Any] = sys.meta_path
    return path.index(PathFinder) if PathFinder in path else len(path) - 1


def types_of_files(mimetypes: Any) -> list[Any]:
    """Tables of `mimetypes`, if the program has added to them."""
    if not mimetypes.inited:
        return []
    now = _tables(mimetypes._db)
    return [] if now == _usual_tables() else now


def set_types_of_files(found: list[Any]) -> None:
    """Make them this process's."""
    import mimetypes

    mimetypes.init()
    # In place: the module has names of its own for some of them.
    for here, there in zip(_tables(mimetypes._db), found):  # type: ignore[attr-defined]
        here.clear()
        here.update(there)


def _tables(known: Any) -> list[dict[str, Any]]:
    return [known.encodings_map, known.suffix_map, *known.types_map, *known.types_map_inv]


@functools.lru_cache(maxsize=1)
def _usual_tables() -> list[dict[str, Any]]:
    """What they are when nobody adds anything."""
    import mimetypes

    usual = mimetypes.MimeTypes()
    for file in mimetypes.knownfiles:
        # One that cannot be read, mimetypes leaves out as well.
        with contextlib.suppress(OSError):
            usual.read(file)
    return _tables(usual)


def dialects(csv: Any) -> dict[str, Any]:
    """Of `csv`, and the size of its largest field."""
    known = {name: csv.get_dialect(name) for name in csv.list_dialects() if name not in _DIALECTS}
    changed = csv.field_size_limit() != _FIELD
    if not known and not changed:
        return {}
    # The module's own objects cannot be pickled.
    fields = {name: {key: getattr(dialect, key) for key in _DIALECT} for name, dialect in known.items()}
    return {"limit": csv.field_size_limit(), "dialects": fields}


def set_dialects(found: dict[str, Any]) -> None:
    """Register them, and set the limit."""
    import csv

    csv.field_size_limit(found["limit"])
    for name, fields in found["dialects"].items():
        csv.register_dialect(name, **fields)


_DIALECTS = ("excel", "excel-tab", "unix")
_DIALECT = (
    "delimiter", "doublequote", "escapechar", "lineterminator", "quotechar", "quoting", "skipinitialspace",
    "strict",
)  # fmt: skip
_FIELD = 128 * 1024


def logging_types() -> dict[str, Any]:
    """Of the loggers and records to come, and whether they say what goes wrong in them."""
    module: Any = logging
    found: dict[str, Any] = {}
    if module.getLoggerClass() is not module.Logger:
        found["class"] = module.getLoggerClass()
    if module.getLogRecordFactory() is not module.LogRecord:
        found["factory"] = module.getLogRecordFactory()
    if not module.raiseExceptions:
        found["silent"] = True
    if module._warnings_showwarning is not None:
        found["warnings"] = True
    return found


def set_logging_types(found: dict[str, Any]) -> None:
    """Set them."""
    if "class" in found:
        logging.setLoggerClass(found["class"])
    if "factory" in found:
        logging.setLogRecordFactory(found["factory"])
    logging.raiseExceptions = "silent" not in found
    if "warnings" in found:
        logging.captureWarnings(capture=True)
