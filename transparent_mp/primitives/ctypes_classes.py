"""Structures and unions of `__main__` by value: cloudpickle cannot pickle the descriptors of their fields.

What defines the layout makes the class anew, which makes the descriptors; the rest is set on it.
Does not import ctypes: a program that has such a class has.
"""

from __future__ import annotations

import operator
import sys
import types
from typing import Any

#: What the class's metaclass looks at when the class is made.
_LAYOUT = (
    "_pack_",
    "_layout_",
    "_align_",
    "_anonymous_",
    "_fields_",
    "__module__",
    "__qualname__",
    "__doc__",
)
_MADE = ("__dict__", "__weakref__")


def is_one(cls: type) -> bool:
    """Whether `cls` is a structure, a union, or an array of such."""
    ctypes: Any = sys.modules.get("ctypes")
    return ctypes is not None and issubclass(cls, (ctypes.Structure, ctypes.Union, ctypes.Array))


def reduce(cls: type) -> Any:
    """The reduction of such a class."""
    ctypes: Any = sys.modules["ctypes"]
    if issubclass(cls, ctypes.Array):
        made: Any = cls
        return operator.mul, (made._type_, made._length_)
    field = type(type("_", (ctypes.Structure,), {"_fields_": [("x", ctypes.c_char)]}).__dict__["x"])
    space = vars(cls)
    layout = {name: space[name] for name in _LAYOUT if name in space}
    rest = {
        name: value
        for name, value in space.items()
        if name not in layout and name not in _MADE and not isinstance(value, field)
    }
    return _make, (cls.__name__, cls.__bases__, layout), rest, None, None, _fill


def _make(name: str, bases: tuple[type, ...], layout: dict[str, Any]) -> type:
    # The metaclass has no name to be pickled by; the bases know it.
    return types.new_class(name, bases, exec_body=lambda space: space.update(layout))


def _fill(cls: type, rest: dict[str, Any]) -> type:
    for name, value in rest.items():
        setattr(cls, name, value)
    return cls
