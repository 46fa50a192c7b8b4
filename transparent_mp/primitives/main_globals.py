"""The `__main__` of a process: a module whose costly globals arrive when they are first used.

Code finds a global in the module's dict. What is missing there is asked of the builtins, and the
builtins of this module are a dict whose `__missing__` makes the pending global and puts it in place: so
`BIG` in a function, `__main__.BIG` and a pickle by name all see it arrive, once, and from then on it is
a plain global. Builtins behind such a dict load some 50 ns slower, so it is there only while some code
waits for a global.

A global that could not travel is a `LostGlobal`: whatever is done with it raises, and says why.

It does not know how a global is fetched or what was captured; `main_module` does.
"""

from __future__ import annotations

import builtins
import threading
import types
from collections.abc import Mapping
from typing import Any, Callable

from transparent_mp.errors import TransparentError

_WHOLE = ("globals", "vars", "eval", "exec", "locals")


class LostGlobalError(TransparentError, TypeError):
    """A global of `__main__` was used in a process that it could not be sent to."""


class LostModuleError(TransparentError, ImportError):
    """A module that `__main__` imported cannot be imported where its process runs."""


class RestoredMain(types.ModuleType):
    """`__main__` as restored: missing attributes are looked for among the pending globals."""

    __slots__ = ("_tmp_lock", "_tmp_pending", "_tmp_waiting")

    def __init__(self) -> None:
        super().__init__("__main__")
        self._tmp_lock = threading.RLock()
        self._tmp_pending: dict[str, tuple[Any, Callable[[], Any]]] = {}
        self._tmp_waiting: set[str] = set()
        vars(self)["__builtins__"] = builtins

    def __getattr__(self, name: str) -> Any:
        try:
            return arrive(self, name)
        except KeyError:
            raise AttributeError(f"module '__main__' has no attribute {name!r}") from None

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *self._tmp_pending})

    def __reduce__(self) -> Any:
        return __import__, ("__main__",)


def expect(main: RestoredMain, name: str, entry: Any, make: Callable[[], Any], *, used: bool) -> None:
    """Let `name` be made by `make` at first use; `used` when code may load it as a global."""
    main._tmp_pending[name] = entry, make
    if used:
        main._tmp_waiting.add(name)
        if vars(main)["__builtins__"] is builtins:
            vars(main)["__builtins__"] = _Builtins(main)


def arrive(main: RestoredMain, name: str) -> Any:
    """Make the pending global and put it in place; KeyError when there is none of that name."""
    with main._tmp_lock:
        if name in vars(main):
            return vars(main)[name]
        _entry, make = main._tmp_pending[name]
        value = vars(main)[name] = make()
        del main._tmp_pending[name]
        main._tmp_waiting.discard(name)
        if not main._tmp_waiting:
            vars(main)["__builtins__"] = builtins
        return value


def pending(main: types.ModuleType) -> Mapping[str, Any]:
    """Entries of globals that have not arrived, as they were given to `expect`."""
    if not isinstance(main, RestoredMain):
        return {}
    # A global that the program has set or made since is no longer what was expected.
    return {name: entry for name, (entry, _) in main._tmp_pending.items() if name not in vars(main)}


class _Builtins(dict):  # type: ignore[type-arg]
    """Builtins that know which globals are still to come."""

    __slots__ = ("_main",)

    def __init__(self, main: RestoredMain) -> None:
        super().__init__(vars(builtins))
        self._main = main
        for name in _WHOLE:
            self.pop(name, None)

    def __missing__(self, name: str) -> Any:
        main = self._main
        if name in main._tmp_pending:
            return arrive(main, name)
        if name in _WHOLE:
            # Who asks for the whole dict must find it whole.
            for waiting in sorted(main._tmp_waiting):
                arrive(main, waiting)
        return vars(builtins)[name]


class LostGlobal:
    """Stands for a global that could not travel; any use raises its error."""

    __slots__ = ("_error", "_text")

    def __init__(self, error: type[Exception], text: str) -> None:
        object.__setattr__(self, "_error", error)
        object.__setattr__(self, "_text", text)

    def __repr__(self) -> str:
        text: str = object.__getattribute__(self, "_text")
        return f"<lost: {text}>"

    def __getattribute__(self, name: str) -> Any:
        raise object.__getattribute__(self, "_error")(object.__getattribute__(self, "_text"))


def _use(self: LostGlobal, *_args: Any, **_kwargs: Any) -> Any:
    raise object.__getattribute__(self, "_error")(object.__getattribute__(self, "_text"))


for _name in [
    "setattr",
    "delattr",
    "call",
    "getitem",
    "setitem",
    "delitem",
    "contains",
    "len",
    "iter",
    "next",
    "reversed",
    "bool",
    "hash",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "add",
    "radd",
    "iadd",
    "sub",
    "rsub",
    "isub",
    "mul",
    "rmul",
    "imul",
    "matmul",
    "rmatmul",
    "truediv",
    "rtruediv",
    "floordiv",
    "rfloordiv",
    "mod",
    "rmod",
    "pow",
    "rpow",
    "and",
    "rand",
    "or",
    "ror",
    "xor",
    "rxor",
    "lshift",
    "rshift",
    "neg",
    "pos",
    "abs",
    "invert",
    "int",
    "float",
    "complex",
    "index",
    "str",
    "format",
    "bytes",
    "enter",
    "exit",
    "aenter",
    "aexit",
    "await",
    "aiter",
    "anext",
    "divmod",
    "round",
    "fspath",
    "instancecheck",
    "subclasscheck",
    "reduce_ex",
]:
    setattr(LostGlobal, f"__{_name}__", _use)


def lost_global(name: str, kind: str, why: str) -> LostGlobal:
    """Stand-in for the global `name`, an object of type `kind`."""
    text = f"global {name!r} of __main__ ({kind}) is not there in this process: {why}"
    return LostGlobal(
        LostGlobalError, f"{text}; make it inside the process, or pass what it takes to make it"
    )


def lost_module(name: str, module: str, error: BaseException) -> LostGlobal:
    """Stand-in for the module that the global `name` was."""
    return LostGlobal(LostModuleError, f"module {module!r} (global {name!r} of __main__): {error}")


def reduce_lost(lost: LostGlobal) -> Any:
    """For the pickler alone: the object itself refuses to be asked."""
    return LostGlobal, (object.__getattribute__(lost, "_error"), object.__getattribute__(lost, "_text"))
