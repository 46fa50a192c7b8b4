"""How a process object is pickled by value where `fork` would have pickled nothing.

`ForkPickler` is cloudpickle with four differences:

- A function keeps its *module* as globals instead of a copy of the names it uses: one whose globals are
  the dict of module M runs, at the other side, in the dict of M as it is there (`__main__` included).
- What `__main__` can be asked for by name goes by name (`main_global`), so that it resolves to the very
  object that `main_module.restore` has put there. `references` says which objects those are.
- Objects that only a fork could have inherited (locks, thread-locals, weak references, open files)
  are rebuilt in a like state; sockets and generators are refused with cause and remedy.
- Arrays and memoryviews over shared memory stay views of it (`views`).

Reducers registered with multiprocessing's ForkingPickler or with copyreg keep their say.

`names` collects the globals of `__main__` that by-value code refers to: what must be captured; `mentioned`
all its names, by which submodules are found.

It does not decide what of `__main__` is sent; `main_module` does.
"""

from __future__ import annotations

import contextvars
import copyreg
import dis
import functools
import io
import marshal
import pickle
import sys
import types
from collections.abc import Iterator, Mapping
from multiprocessing import reduction as _stdlib
from typing import Any, Callable

from cloudpickle import CloudPickler  # type: ignore[import-untyped]

from transparent_mp.primitives import ctypes_classes, inherited, main_globals, own_modules, submodules, views

_LRU = type(functools.lru_cache(None)(lambda: None))
_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
#: Code that names one of these may reach any global.
DYNAMIC = frozenset({"globals", "vars", "eval", "exec", "__main__"})
_ERRORS = (TypeError, pickle.PicklingError, AttributeError, ValueError)


class ForkPickler(CloudPickler):  # type: ignore[misc]
    """Pickles what a forked child would have inherited; see the module's head."""

    def __init__(
        self,
        file: Any,
        protocol: int | None = None,
        buffer_callback: Any = None,
        *,
        references: Mapping[int, str] | None = None,
        by_name: bool = True,
    ) -> None:
        # The C pickler reads it once, while it is being initialised.
        self.dispatch_table = _dispatch_table()
        super().__init__(file, protocol, buffer_callback)
        #: Global names that pickled code of `__main__` loads.
        self.names: set[str] = set()
        #: Every name in it, attributes among them.
        self.mentioned: set[str] = set()
        #: Modules of the functions and classes that are not of `__main__`, as these name them.
        self.modules: set[str] = set()
        #: Files that pickled code came from.
        self.files: set[str] = set()
        main = sys.modules.get("__main__")
        self._main = vars(main) if main is not None else {}
        #: False: functions and classes of `__main__` go by value unless `references` names them.
        self._by_name = by_name
        self._references = main_callables(self._main) if references is None else references
        self._cells: dict[int, _EmptyCell] = {}
        self._forced: set[int] = set()

    def reducer_override(self, obj: Any) -> Any:
        name = self._references.get(id(obj))
        if name is not None:
            return main_global, (name,)
        # By type, since isinstance asks the object, and proxies and lost globals have their own answer.
        kind = type(obj)
        if kind is types.FunctionType:
            return self._reduce_function(obj)
        if issubclass(kind, type):
            return self._reduce_class(obj)
        if kind is main_globals.LostGlobal:
            return main_globals.reduce_lost(obj)
        if kind is contextvars.ContextVar:
            return _reduce_variable(obj)
        if kind.__name__ in views.KINDS:
            return views.reduce(obj)
        return NotImplemented

    def _refer(self, obj: Any) -> None:
        # It may be None, or whatever it was set to.
        if type(obj.__module__) is str:
            self.modules.add(obj.__module__)

    def _reduce_function(self, func: types.FunctionType) -> Any:
        in_main = func.__globals__ is self._main
        self._refer(func)
        # What functools.wraps or a dataclass made bears the name of `__main__` and runs elsewhere.
        if in_main or func.__module__ == "__main__":
            if self._by_name and _found_in(self._main, func):
                return main_global, (func.__qualname__,)
        elif own_modules.importable(func):
            return self._reduce_late(func)
        module = func.__globals__.get("__name__")
        known = sys.modules.get(module) if isinstance(module, str) else None
        if known is None or vars(known) is not func.__globals__:
            return super().reducer_override(func)
        if in_main:
            self.names |= global_names(func.__code__)
            self.mentioned |= submodules.mentioned(func.__code__)
            self.files.add(func.__code__.co_filename)
        cells = tuple(self._empty_cell(cell) for cell in func.__closure__ or ())
        return (
            _new_function,
            (func.__code__, module, cells),
            _function_state(func),
            None,
            None,
            _fill_function,
        )

    def _empty_cell(self, cell: types.CellType) -> _EmptyCell:
        # The memo knows this stand-in, so functions that share a cell share it at the other side too,
        # and its content, which may lead back to the function, comes after the function exists.
        return self._cells.setdefault(id(cell), _EmptyCell(cell))

    def _reduce_class(self, cls: type) -> Any:
        self._refer(cls)
        if cls.__module__ == "__main__":
            if self._by_name and _found_in(self._main, cls):
                return main_global, (cls.__qualname__,)
            if ctypes_classes.is_one(cls):
                return ctypes_classes.reduce(cls)
            return _with_qualname(cls, super().reducer_override(cls))
        if id(cls) in self._forced:
            return own_modules.reduce_class_by_value(cls)
        return self._reduce_late(cls) if own_modules.importable(cls) else super().reducer_override(cls)

    def _reduce_late(self, obj: Any) -> Any:
        """By reference, and if a fresh import may lack it, with a copy by value beside the name."""
        if id(obj) in self._forced or not own_modules.made_late(obj):
            return NotImplemented
        buffer = io.BytesIO()
        inner = type(self)(buffer, references=self._references, by_name=self._by_name)
        inner._forced = self._forced | {id(obj)}
        try:
            inner.dump(obj)
        except Exception:  # noqa: BLE001 - the guess was wrong or of no use: by reference, as pickle would
            return NotImplemented
        self.names |= inner.names
        self.mentioned |= inner.mentioned
        return own_modules.late, (obj.__module__, obj.__qualname__, buffer.getvalue())


def _reduce_variable(variable: contextvars.ContextVar[Any]) -> Any:
    """A variable with its default, and its value here: a forked child goes on in its parent's context."""
    found: list[tuple[Any, ...]] = []
    # Its default is what an empty context has.
    for context in (contextvars.Context(), contextvars.copy_context()):
        try:
            found.append((context.run(variable.get),))
        except LookupError:
            found.append(())
    default, value = found
    return _new_variable, (variable.name, default), value, None, None, _set_variable


def _new_variable(name: str, default: tuple[Any, ...]) -> contextvars.ContextVar[Any]:
    return contextvars.ContextVar(name, default=default[0]) if default else contextvars.ContextVar(name)


def _set_variable(variable: contextvars.ContextVar[Any], value: tuple[Any, ...]) -> None:
    if value:
        variable.set(value[0])


def dump(obj: Any, file: Any, protocol: int | None = None) -> ForkPickler:
    """Pickle `obj` into `file`; the pickler is returned for its `names`."""
    pickler = ForkPickler(file, protocol)
    try:
        pickler.dump(obj)
    except _ERRORS as error:
        raise explained(error, obj) from error
    return pickler


def dumps(obj: Any, protocol: int | None = None) -> bytes:
    """Pickle `obj` by value."""
    buffer = io.BytesIO()
    dump(obj, buffer, protocol)
    return buffer.getvalue()


def main_global(name: str) -> Any:
    """What `__main__` of this process calls `name` (dotted names reach into classes)."""
    value: Any = sys.modules["__main__"]
    for part in name.split("."):
        value = getattr(value, part)
    return value


def main_callables(main: Mapping[str, Any]) -> dict[int, str]:
    """Functions and classes that `__main__` defines at top level, by identity."""
    found: dict[int, str] = {}
    for name, value in list(main.items()):
        if is_of_main(value, main) and found.setdefault(id(value), name) != name and value.__name__ == name:
            found[id(value)] = name
    return found


def is_of_main(value: Any, main: Mapping[str, Any]) -> bool:
    """Whether `value` is a function or class that the program's `__main__` made."""
    kind = type(value)
    if kind is types.FunctionType:
        return value.__globals__ is main or (value.__module__ == "__main__" and hasattr(value, "__wrapped__"))
    return issubclass(kind, (type, _LRU)) and value.__module__ == "__main__"


@functools.lru_cache(maxsize=4096)
def global_names(code: types.CodeType) -> frozenset[str]:
    """Globals that `code`, or code within it, may load; any member of DYNAMIC stands for all."""
    names = set()
    for step in dis.get_instructions(code):
        if step.opname in _LOADS or (step.opname == "IMPORT_NAME" and step.argval == "__main__"):
            names.add(step.argval)
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            names |= global_names(const)
        elif const == "__main__":
            names.add("__main__")
    return frozenset(names)


def explained(error: BaseException, obj: Any) -> BaseException:
    """The same kind of error, whose message says where the culprit hangs and what to do."""
    if type(error) not in _ERRORS:
        return error
    path = "".join(_blame(obj, 6))
    where = f" (found at {type(obj).__name__}{path})" if path else ""
    return type(error)(
        f"{error}{where}: it has to be sent to another machine; "
        "make it inside the process, or pass what is needed to make it"
    )


def _blame(obj: Any, depth: int) -> Iterator[str]:
    for step, child in inherited.children(obj) if depth else ():
        try:
            ForkPickler(io.BytesIO()).dump(child)
        except Exception:  # noqa: BLE001 - any failure marks the branch to follow
            yield step
            yield from _blame(child, depth - 1)
            return


def _dispatch_table() -> dict[type, Callable[[Any], Any]]:
    """Reducers by type, as registered at this moment; an exact dict, which the C pickler reads fastest."""
    table: dict[type, Callable[[Any], Any]] = {}
    # A chain of mappings, which dict() would ask for each of its keys.
    for part in reversed(CloudPickler.dispatch_table.maps):
        table.update(part)
    registered = _stdlib.ForkingPickler._extra_reducers  # type: ignore[attr-defined]
    table.update(registered)
    for kind, reduce in _REDUCERS.items():
        chosen = registered.get(kind) or copyreg.dispatch_table.get(kind)
        if chosen is None or chosen.__module__ == _stdlib.__name__:
            table[kind] = reduce
    return table


def _found_in(main: Mapping[str, Any], obj: Any) -> bool:
    if obj.__module__ != "__main__":
        return False
    first, *rest = obj.__qualname__.split(".")
    value = main.get(first)
    for part in rest:
        value = getattr(value, part, None)
    return value is obj


def _with_qualname(cls: type, reduced: Any) -> Any:
    """Cloudpickle's reduction, kept from forgetting within which class `cls` is to be looked up."""
    if isinstance(reduced, tuple) and len(reduced) == 6 and cls.__qualname__ != cls.__name__:
        attributes, slots = reduced[2]
        reduced = (*reduced[:2], ({**attributes, "__qualname__": cls.__qualname__}, slots), *reduced[3:])
    return reduced


class _EmptyCell:
    __slots__ = ("cell",)

    def __init__(self, cell: types.CellType) -> None:
        self.cell = cell

    def __reduce__(self) -> Any:
        return types.CellType, ()


class _Nothing:
    """Content of a cell that has none."""


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _Nothing


_ATTRIBUTES = ("__name__", "__qualname__", "__module__", "__doc__", "__defaults__", "__kwdefaults__")


def _function_state(func: types.FunctionType) -> Any:
    attributes = {name: getattr(func, name) for name in _ATTRIBUTES}
    attributes["__annotations__"] = func.__annotations__
    if getattr(func, "__type_params__", ()):
        attributes["__type_params__"] = func.__type_params__  # type: ignore[attr-defined]
    return attributes, func.__dict__, tuple(_content(cell) for cell in func.__closure__ or ())


def _new_function(code: types.CodeType, module: str, cells: tuple[types.CellType, ...]) -> types.FunctionType:
    return types.FunctionType(code, vars(own_modules.imported(module)), code.co_name, None, cells or None)


def _fill_function(func: types.FunctionType, state: Any) -> types.FunctionType:
    attributes, own, contents = state
    for name, value in attributes.items():
        setattr(func, name, value)
    func.__dict__.update(own)
    for cell, content in zip(func.__closure__ or (), contents):
        if content is not _Nothing:
            cell.cell_contents = content
    return func


def _reduce_method(method: types.MethodType) -> Any:
    # The standard library's reducer asks the object for the name, which a lambda or a mangled one lacks.
    return types.MethodType, (method.__func__, method.__self__)


def _reduce_code(code: types.CodeType) -> Any:
    # Client and worker run the same Python version, or the worker is refused.
    return marshal.loads, (marshal.dumps(code),)


def _reduce_cached(cached: Any) -> Any:
    if cached.__module__ != "__main__" and own_modules.importable(cached):
        return str(cached.__qualname__)
    limits = cached.cache_parameters()
    return _new_cached, (cached.__wrapped__, limits["maxsize"], limits["typed"]), dict(cached.__dict__)


def _new_cached(func: Any, maxsize: int | None, typed: bool) -> Any:
    return functools.lru_cache(maxsize, typed)(func)


_REDUCERS: dict[type, Callable[[Any], Any]] = {
    **inherited.REDUCERS,
    types.MethodType: _reduce_method,
    types.CodeType: _reduce_code,
    _LRU: _reduce_cached,
}
