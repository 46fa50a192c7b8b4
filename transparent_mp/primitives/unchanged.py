"""Whether a module's data is what it was when it was last pickled: as far as that can be seen at a glance.

To look at plain values, and at functions and classes that go by their name, takes a tenth of the time that
their pickle takes. `packed` answers the last pickle where each is the very object that it was, in containers
that are like what they were. Anything else, and what is not small, is pickled each time.

It keeps no function, class or module alive, and does not pickle.
"""

from __future__ import annotations

import operator
import sys
import types
import weakref
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, Callable, NamedTuple

from transparent_mp.primitives import own_modules
from transparent_mp.primitives.packing import Apart

#: Objects, and the length of a text, beyond which nothing is looked at or kept.
MOST, LONGEST = 2000, 4096

_ATOMS = frozenset((int, float, complex, bool, type(None), type(...)))
_TEXTS = frozenset((str, bytes))
_CONTAINERS = frozenset((dict, list, tuple, set, frozenset))
_AGAIN = object()

#: A pickle, and the names that it brings (see `ForkPickler`).
Packed = tuple[Apart, set[str], set[str]]


class _Glance(NamedTuple):
    seen: list[Any]
    #: Functions and classes.
    named: list[Any]


_last: dict[str, tuple[list[Any], Packed]] = {}


def packed(module: str, data: dict[str, Any], known: Mapping[int, str], pack: Callable[[], Packed]) -> Packed:
    """The pickle of a module's data: what `pack` answers, or answered last. `known`: see `Solo`."""
    glance = _glance(data, known) if own_modules.none_by_value() else None
    if glance is None:
        _last.pop(module, None)
        return pack()
    last = _last.get(module)
    if last is not None and len(last[0]) == len(glance.seen) and all(map(operator.is_, last[0], glance.seen)):
        return last[1]
    found = pack()
    if any(map(own_modules.made_late, glance.named)):
        # Such a one goes by value as well.
        _last.pop(module, None)
    else:
        _last[module] = glance.seen, found
    return found


def _glance(data: dict[str, Any], known: Mapping[int, str]) -> _Glance | None:
    """Everything in it, in the order of its pickle; None for what is not to be seen at a glance."""
    seen: list[Any] = []
    named: list[Any] = []
    containers: list[Any] = [data]
    numbers = {id(data): 0}
    for container in containers:
        seen += (type(container), len(container))
        if len(seen) + len(container) > MOST:
            return None
        for value in _parts(container):
            kind = type(value)
            if kind in _ATOMS or (kind in _TEXTS and len(value) <= LONGEST):
                seen.append(value)
            elif kind in _CONTAINERS:
                number = numbers.setdefault(id(value), len(containers))
                if number == len(containers):
                    containers.append(value)
                seen += (_AGAIN, number)
            elif _goes_by_name(value, kind, known):
                seen.append(weakref.ref(value))
                named.append(value)
            else:
                return None
    return _Glance(seen, named)


def _parts(container: Any) -> Iterable[Any]:
    return chain.from_iterable(container.items()) if type(container) is dict else container


def _goes_by_name(value: Any, kind: type, known: Mapping[int, str]) -> bool:
    """Whether it is a function or class that its module has by its name."""
    if kind is types.FunctionType:
        if value.__globals__ is vars(sys.modules["__main__"]):
            return False
    elif not issubclass(kind, type):
        return False
    name, home = value.__name__, value.__module__
    module = sys.modules.get(home) if type(home) is str and home != "__main__" else None
    return (
        name == value.__qualname__
        and isinstance(module, types.ModuleType)
        and vars(module).get(name) is value
        and id(value) not in known
    )
