"""Does something around the first run of a module's code, whenever that is.

It does not find modules: the others in `sys.meta_path` do.
"""

from __future__ import annotations

import contextlib
import sys
import types
from importlib.machinery import ModuleSpec
from typing import Any, Callable

OnModule = Callable[[types.ModuleType], Any]


def _nothing(_module: types.ModuleType) -> None:
    pass


def follow(name: str, after: OnModule, before: OnModule = _nothing, finally_: OnModule = _nothing) -> None:
    """Call `before` and `after` around the first run of the module. It must not have been imported.

    `finally_` is called last, also when the module's code or one of these raises. What others have asked for
    the same module is done too, in the order in which they asked.
    """
    _finder().waiting.setdefault(name, []).append((before, after, finally_))


class _Follower:
    """Lets the others find a module, and calls what waits for it around its loader's work."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[tuple[OnModule, OnModule, OnModule]]] = {}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in self.waiting:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(name, path, target) if find and finder is not self else None
            if spec is not None:
                self._wrap(spec)
                return spec
        return None

    def _wrap(self, spec: ModuleSpec) -> None:
        loader: Any = spec.loader
        if not hasattr(loader, "exec_module"):
            return
        run = loader.exec_module

        def exec_module(module: types.ModuleType) -> None:
            # A loader may serve several modules (zipimport's does).
            calls = self.waiting.pop(module.__name__, [])
            with contextlib.ExitStack() as stack:
                for before, _, finally_ in calls:
                    before(module)
                    stack.callback(finally_, module)
                run(module)
                for _, after, _ in calls:
                    after(module)

        loader.exec_module = exec_module


def _finder() -> _Follower:
    """The one of this process, in front of whatever was put there since it was last asked for."""
    found = next((finder for finder in sys.meta_path if isinstance(finder, _Follower)), None)
    if found is None:
        found = _Follower()
    elif sys.meta_path[0] is found:
        return found
    else:
        sys.meta_path.remove(found)
    sys.meta_path.insert(0, found)
    return found
