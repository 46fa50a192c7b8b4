"""Submodules that code reaches through their package: `import xml` there, `xml.dom.minidom` here.

`import a.b` binds `a` alone, and a fork inherits every module that anyone has imported. So beside the
modules that `__main__` names go those of their submodules, imported here, whose names its code mentions.

It does not import anything.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterable


@functools.lru_cache(maxsize=4096)
def mentioned(code: types.CodeType) -> frozenset[str]:
    """Every name in `code` and in code within it, attributes among them."""
    names = set(code.co_names)
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            names |= mentioned(const)
    return frozenset(names)


def reached(packages: Iterable[str], names: set[str]) -> list[str]:
    """Imported submodules of `packages` that `names` spell, parents first."""
    found: list[str] = []
    below = _below(tuple(sys.modules))
    pending = list(packages)
    while pending:
        for name in below.get(pending.pop(), ()):
            if name.rpartition(".")[2] in names and name not in found:
                found.append(name)
                pending.append(name)
    return found


@functools.lru_cache(maxsize=1)
def _below(modules: tuple[str, ...]) -> dict[str, list[str]]:
    """Package -> its imported submodules."""
    found: dict[str, list[str]] = {}
    for name in modules:
        parent, dot, _ = name.rpartition(".")
        if dot:
            found.setdefault(parent, []).append(name)
    return found
