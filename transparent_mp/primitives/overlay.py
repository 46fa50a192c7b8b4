"""What lies over the program's own modules in a process: their data as it was at `start()` (method fork).

It is laid over a module once the process has imported it, and never imports it for that. Data is filled in
place where the type allows, since others hold the object the import made. Large globals come when they are
first used.

A module's data may need another of the program's modules whose import has brought this one and is still
under way (a registry that holds functions of those who registered them): then it is laid when the outermost
of the program's modules under way is there. It is tried at once nevertheless, since the code of that other
module may read what was set (`configure` before the rest is imported). A module's data is laid whole.

What this process has not imported, the processes that it starts may: `waiting` is handed on.

It does not know which modules are the program's own; `own_modules` does.
"""

from __future__ import annotations

import contextvars
import functools
import sys
import threading
import types
from collections.abc import Collection, Mapping
from typing import Any, Callable, NamedTuple

from transparent_mp.primitives import own_modules
from transparent_mp.primitives.following import follow
from transparent_mp.primitives.main_globals import Awaited, Builtins

#: Py_TPFLAGS_HEAPTYPE
_HEAP_TYPE = 1 << 9
_FILLED = (dict, list, set, bytearray)


class Overlay(NamedTuple):
    """What lies over a module once it has been imported."""

    #: Unpacks its data.
    data: Callable[[], dict[str, Any]]
    #: Name -> entry and maker of what comes when it is used.
    late: Mapping[str, tuple[Any, Callable[[], Any]]]
    #: What `data` unpacks.
    packed: Any = None


class _Underway(threading.local):
    """Imports of own modules that this thread is in the middle of, and what is laid at their end."""

    depth = 0

    def __init__(self) -> None:
        self.put_off: list[tuple[types.ModuleType, Overlay]] = []


#: Module -> its globals that are still to come.
_awaited: dict[str, Awaited] = {}
#: Overlays of modules that this process has not imported.
_waiting: dict[str, Overlay] = {}
#: Modules of the program's own that the parent had imported.
_inherited: set[str] = set()
_underway = _Underway()


def lay(changed: Mapping[str, Overlay], imported: Collection[str] = ()) -> None:
    """Lay captured globals over each module when it is imported, or now if it was.

    `imported`: all modules of the program's own that the parent had, changed or not.
    """
    _inherited.update(imported)
    for name in _inherited.union(changed).difference(sys.modules):
        over = changed.get(name)
        if over is not None:
            _waiting[name] = over
        after, before = (functools.partial(call, over=over) for call in (_lay_if_possible, _begin))
        follow(name, after, before, _end)
    for name in changed.keys() - _waiting.keys():
        _lay(sys.modules[name], changed[name])
        # Its functions have taken their builtins and would not see what comes later.
        if name in _awaited:
            _awaited[name].arrive_all()


def own_names() -> list[str]:
    """Names of the program's own modules that this process has imported, or its parent had."""
    return sorted(_inherited.union(own_modules.own_names()))


def waiting() -> dict[str, tuple[Any, dict[str, Any]]]:
    """For each module that is not here yet: its data as it came, and entries of what comes when used."""
    return {
        name: (over.packed, {late: entry for late, (entry, _) in over.late.items()})
        for name, over in list(_waiting.items())
    }


def awaited() -> dict[str, dict[str, Any]]:
    """Globals of own modules that have not arrived in this process: module -> name -> entry."""
    found = {name: over.entries() for name, over in _awaited.items()}
    return {name: entries for name, entries in found.items() if entries}


def _begin(module: types.ModuleType, over: Overlay | None) -> None:
    _underway.depth += 1
    if over is not None and over.late:
        _await(module)


def _lay_if_possible(module: types.ModuleType, over: Overlay | None) -> None:
    if over is None:
        return
    if _underway.depth == 1:
        # What the end of this import lays may need this.
        _underway.put_off.append((module, over))
        return
    try:
        _lay(module, over)
    except Exception:  # noqa: BLE001 - whatever a class raises that is half there; it is tried again and raised then
        _underway.put_off.append((module, over))


def _end(_module: types.ModuleType) -> None:
    _underway.depth -= 1
    if _underway.depth == 0:
        ready, _underway.put_off = _underway.put_off, []
        for module, over in ready:
            _lay(module, over)


def _await(module: types.ModuleType) -> Awaited:
    """Make the module one whose globals may come later; before it is run, since functions keep builtins."""
    space = vars(module)
    coming = _awaited[module.__name__] = Awaited(space)
    space["__builtins__"] = Builtins(coming)
    return coming


def _lay(module: types.ModuleType, over: Overlay) -> None:
    _set(module, over.data())
    _waiting.pop(module.__name__, None)
    if not over.late:
        return
    space = vars(module)
    coming = _awaited.get(module.__name__) or _await(module)
    for name, (entry, make) in over.late.items():
        space.pop(name, None)
        coming.add(name, entry, make, used=True)
    own = space.get("__getattr__")

    def __getattr__(name: str) -> Any:  # noqa: N807 - what a module is asked for when it lacks a name
        if name in coming:
            return coming.arrive(name)
        if own is not None:
            return own(name)
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

    space["__getattr__"] = __getattr__


def _set(module: types.ModuleType, data: dict[str, Any]) -> None:
    for name, value in data.items():
        fresh = vars(module).get(name)
        if fresh is not value and not _fill(fresh, value):
            setattr(module, name, value)


def _fill(fresh: Any, value: Any) -> bool:
    """Give `fresh` the content of `value` in place; False when it cannot be done."""
    kind = type(value)
    if type(fresh) is not kind:
        return False
    if isinstance(value, (dict, set)):
        fresh.clear()
        fresh.update(value)
    elif kind in _FILLED:
        fresh[:] = value
    elif kind is contextvars.ContextVar:
        # It was set when `value` was unpickled, in this context too.
        if value in contextvars.copy_context():
            fresh.set(value.get())
    elif not _plain(kind):
        return False
    if hasattr(value, "__dict__"):
        fresh.__dict__.clear()
        fresh.__dict__.update(value.__dict__)
    return True


def _plain(kind: type) -> bool:
    """Whether `__dict__` is all the state that objects of `kind` have and pickle."""
    reduces = any(
        "__reduce_ex__" in vars(base) or "__reduce__" in vars(base) or "__getstate__" in vars(base)
        or "__slots__" in vars(base) or "__setstate__" in vars(base)
        for base in kind.__mro__[:-1]
    )  # fmt: skip
    made_by_class_statement = all(base.__flags__ & _HEAP_TYPE for base in kind.__mro__[:-1])
    return made_by_class_statement and not reduces and kind.__dictoffset__ != 0
