"""Modules whose costly globals arrive when they are first used: `__main__` of a process, and the program's.

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
import sys
import threading
import types
from collections.abc import Iterator, Mapping, Set
from typing import Any, Callable

from transparent_mp.errors import TransparentError

_WHOLE = ("globals", "vars", "eval", "exec", "locals")


class LostGlobalError(TransparentError, TypeError):
    """A global of `__main__` was used in a process that it could not be sent to."""


class LostModuleError(TransparentError, ImportError):
    """A module that `__main__` imported cannot be imported where its process runs."""


class Awaited:
    """Globals of one module that are still to come."""

    def __init__(self, space: dict[str, Any]) -> None:
        self._space = space
        self._lock = threading.RLock()
        self._makers: dict[str, tuple[Any, Callable[[], Any]]] = {}
        #: Those that code may load as globals.
        self._used: set[str] = set()

    def add(self, name: str, entry: Any, make: Callable[[], Any], *, used: bool) -> None:
        """Let `name` be made by `make` at first use; `used` when code may load it as a global."""
        self._makers[name] = entry, make
        if used:
            self.use({name})

    def use(self, names: Set[str]) -> None:
        """Code that is about to be made may load these as globals."""
        self._used |= names & self._makers.keys()
        if self._used and self._space.get("__builtins__") is builtins:
            self._space["__builtins__"] = Builtins(self)

    def arrive(self, name: str) -> Any:
        """Make the global and put it in place; KeyError when none of that name is awaited."""
        with self._lock:
            if name in self._space:
                return self._space[name]
            _entry, make = self._makers[name]
            value = self._space[name] = make()
            del self._makers[name]
            self._used.discard(name)
            if not self._used:
                self._space["__builtins__"] = builtins
            return value

    def arrive_all(self) -> None:
        """Those that code may load."""
        for name in sorted(self._used):
            self.arrive(name)

    def entries(self) -> dict[str, Any]:
        """What has not arrived, as it was given to `add`."""
        # A global that the program has set or made since is no longer what was expected.
        return {name: entry for name, (entry, _) in self._makers.items() if name not in self._space}

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._makers))


class RestoredMain(types.ModuleType):
    """`__main__` as restored: missing attributes are looked for among the pending globals."""

    __slots__ = ("_tmp_awaited",)

    def __init__(self) -> None:
        super().__init__("__main__")
        self._tmp_awaited = Awaited(vars(self))
        vars(self)["__builtins__"] = builtins

    def __getattr__(self, name: str) -> Any:
        try:
            return self._tmp_awaited.arrive(name)
        except KeyError:
            raise AttributeError(f"module '__main__' has no attribute {name!r}") from None

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *self._tmp_awaited})

    def __reduce__(self) -> Any:
        return builtins.__import__, ("__main__",)


def expect(main: RestoredMain, name: str, entry: Any, make: Callable[[], Any], *, used: bool) -> None:
    """See `Awaited.add`."""
    main._tmp_awaited.add(name, entry, make, used=used)


def use(space: Any, names: Set[str], *, whole: bool = False) -> None:
    """See `Awaited.use`; `space` is the dict that the code's globals are in, any of them if `whole`."""
    main = sys.modules.get("__main__")
    if isinstance(main, RestoredMain) and vars(main) is space:
        main._tmp_awaited.use(main._tmp_awaited.entries().keys() if whole else names)


def arrive(main: RestoredMain, name: str) -> Any:
    """See `Awaited.arrive`."""
    return main._tmp_awaited.arrive(name)


def pending(main: types.ModuleType) -> Mapping[str, Any]:
    """Entries of globals that have not arrived, as they were given to `expect`."""
    return main._tmp_awaited.entries() if isinstance(main, RestoredMain) else {}


class Builtins(dict):  # type: ignore[type-arg]
    """Builtins that know which globals are still to come."""

    __slots__ = ("_awaited",)

    def __init__(self, awaited: Awaited) -> None:
        super().__init__(vars(builtins))
        self._awaited = awaited
        for name in _WHOLE:
            self.pop(name, None)

    def __missing__(self, name: str) -> Any:
        if name in self._awaited:
            return self._awaited.arrive(name)
        if name in _WHOLE:
            # Who asks for the whole dict must find it whole.
            self._awaited.arrive_all()
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


def lost_global(name: str, kind: str, why: str, module: str = "__main__") -> LostGlobal:
    """Stand-in for the global `name`, an object of type `kind`."""
    text = f"global {name!r} of {module} ({kind}) is not there in this process: {why}"
    return LostGlobal(
        LostGlobalError, f"{text}; make it inside the process, or pass what it takes to make it"
    )


def lost_object(kind: str, why: str) -> LostGlobal:
    """Stand-in for an object of type `kind` that the process object led to."""
    text = f"an object of type {kind!r} that came with the process is not there in it: {why}"
    return LostGlobal(
        LostGlobalError, f"{text}; make it inside the process, or pass what it takes to make it"
    )


def lost_module(name: str, module: str, error: BaseException) -> LostGlobal:
    """Stand-in for the module that the global `name` was."""
    return LostGlobal(LostModuleError, f"module {module!r} (global {name!r} of __main__): {error}")


def reduce_lost(lost: LostGlobal) -> Any:
    """For the pickler alone: the object itself refuses to be asked."""
    return LostGlobal, (object.__getattribute__(lost, "_error"), object.__getattribute__(lost, "_text"))
