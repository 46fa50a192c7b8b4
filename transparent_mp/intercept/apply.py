"""Puts rows of the patch table in place, and back.

Protocol: all replacements of a module are resolved first, then all its names are set, so a
replacement's module, which imports the original, sees the module untouched. No lock is held at any
point, since resolving imports, and imports have locks of their own; each step is one operation on a
dict or list, and `close` wins over an `apply` that runs beside it.

Does not know when a module is imported: `finder` does.
"""

from __future__ import annotations

import os
import sys

from transparent_mp.originals import forget, remember

TYPE_CHECKING = False  # `typing` costs more modules than start-up may import
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType
    from typing import Any, Callable

    from transparent_mp.intercept.patches import Patch


class UnfinishedError(ImportError):
    """A replacement's module, `name`, is still being imported: try again when it has been executed."""


class Applied:
    """The rows that are in force, with what they replaced."""

    def __init__(self) -> None:
        self._closed = False
        self._places: list[_Place] = []

    def apply(self, module: ModuleType, rows: Iterable[Patch], *, start_up: bool = False) -> list[_Place]:
        """Set the names of `rows`, all of one module; answers what was set.

        Raises UnfinishedError, having set nothing, if a replacement cannot be had yet.
        """
        places = []
        for row in rows:
            place = _place(module, row)
            # Applied again, a row that wraps would wrap its own value.
            if place is not None and not (row.wraps and self._set_by_us(place.original)):
                place.value = _stand_in(row, place.original) if start_up and row.lazy else _value(row, place)
                places.append(place)
        places = [place for place in places if place.original is not place.value]
        for place in places:
            self._places.append(place)
            place.set()
        if self._closed:
            self._restore()
        return places

    def close(self) -> None:
        """Give every name its original, last set first; nothing is applied from here on.

        A name that someone else has replaced since is theirs to give back.
        """
        self._closed = True
        self._restore()

    def _set_by_us(self, value: object) -> bool:
        return any(place.value is value for place in self._places)

    def _restore(self) -> None:
        while self._places:
            self._places.pop().restore()


class _Place:
    """Where a row's value goes: an attribute of a module or of one of its classes."""

    __slots__ = ("attribute", "holder", "inherited", "original", "row", "value")

    def __init__(self, row: Patch, holder: Any, attribute: str) -> None:
        self.row = row
        self.holder = holder
        self.attribute = attribute
        self.inherited = attribute not in vars(holder)
        # From the dict, since getattr would bind a static or class method.
        self.original = getattr(holder, attribute) if self.inherited else vars(holder)[attribute]
        self.value: object = None

    def set(self) -> None:
        remember(self.row.module, self.row.name, self.original)
        setattr(self.holder, self.attribute, self.value)

    def restore(self) -> None:
        forget(self.row.module, self.row.name)
        if vars(self.holder).get(self.attribute) is not self.value:
            return
        if self.inherited:
            delattr(self.holder, self.attribute)
        else:
            setattr(self.holder, self.attribute, self.original)


def _place(module: ModuleType, row: Patch) -> _Place | None:
    *path, attribute = row.name.split(".")
    holder: Any = module
    try:
        for part in path:
            holder = getattr(holder, part)
        return _Place(row, holder, attribute)
    except AttributeError as error:
        if row.optional:
            return None
        if _is_of_a_library(module):
            _tell(
                f"{row.module} has no {row.name}, which transparent_mp replaces: left as this version has it"
            )
            return None
        version = ".".join(map(str, sys.version_info[:3]))
        raise ImportError(
            f"{row.module} of Python {version} has no {row.name}, which transparent_mp replaces: "
            "this Python is not supported; unset TRANSPARENT_MP to run the program without it"
        ) from error


def _tell(text: str) -> None:
    # More than start-up may import.
    import logging

    logging.getLogger("transparent_mp").warning(text)


def _is_of_a_library(module: ModuleType) -> bool:
    """Whether it comes with a package of its own: these change names from one version to the next."""
    file = getattr(module, "__file__", None) or ""
    library = os.path.dirname(os.__file__) + os.sep
    return bool(file) and (not file.startswith(library) or "-packages" + os.sep in file[len(library) :])


def _value(row: Patch, place: _Place) -> Any:
    value = resolve(row)
    return value(place.original) if row.wraps else value


def resolve(row: Patch) -> Any:
    """Import what a row names as its replacement."""
    name, _, attribute = row.replacement.partition(":")
    __import__(name)
    module = sys.modules[name]
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        unfinished = getattr(module.__spec__, "_initializing", False)
        message = f"{name} has no {attribute}, the replacement of {row.module}.{row.name}"
        raise (UnfinishedError if unfinished else ImportError)(message, name=name) from error


def _stand_in(row: Patch, original: Any) -> Callable[..., Any]:
    # It stays in place after the first call, so that copies of it, and pickles by its name, agree
    # with what the module has.
    real: Any = None

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        nonlocal real
        if real is None:
            # Importing the replacement may itself call the function, and at the interpreter's end
            # nothing can be imported: then there is nothing but the original.
            if sys.meta_path is None or sys.is_finalizing():
                return original(*args, **kwargs)
            try:
                real = resolve(row)
            except UnfinishedError:
                return original(*args, **kwargs)
        return real(*args, **kwargs)

    stand_in.__name__ = original.__name__
    stand_in.__qualname__ = original.__qualname__
    stand_in.__doc__ = original.__doc__
    stand_in.__module__ = row.module
    vars(stand_in)["__wrapped__"] = original
    return stand_in


def copies(places: list[_Place]) -> Iterator[str]:
    """Names in other modules that still hold an original: they were copied too early."""
    # A module is no copy: whoever imports it has it under a name.
    names = {
        id(place.original): f"{place.row.module}.{place.row.name}"
        for place in places
        if not isinstance(place.original, type(sys))
    }
    # Built-in modules are where `os` has its functions from; replacements keep originals on purpose.
    passed = {*sys.builtin_module_names, *(place.row.module for place in places)}
    passed.update(place.row.replacement.partition(":")[0] for place in places)
    for module_name, module in list(sys.modules.items()):
        if module_name in passed or module_name.partition(".")[0] == "transparent_mp":
            continue
        if not isinstance(module, type(sys)):
            continue
        # Not vars(): a lazily loaded module would be loaded by it.
        for name, value in list(object.__getattribute__(module, "__dict__").items()):
            if id(value) in names:
                yield f"{module_name}.{name} ({names[id(value)]})"
