"""Sees the modules of the patch table being imported, and has them patched before anyone copies.

A finder in front of `sys.meta_path` that finds nothing itself: it lets the finders behind it find,
and puts a loader around theirs that applies the rows right after the module was executed. The
module's spec and `__loader__` have the original loader before its first line runs.

A replacement's module may be imported first, and import the module that it replaces names of: then
the rows wait until it has been executed, which is why the finder watches those modules too.

Does not know how a row is put in place: `apply` does.
"""

from __future__ import annotations

import sys

from transparent_mp import shadows
from transparent_mp.intercept.apply import Applied, UnfinishedError, copies

TYPE_CHECKING = False  # `typing` costs more modules than start-up may import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Callable

    from transparent_mp.intercept.patches import Patch


class Finder:
    """The rows of one side, and the imports that they wait for.

    `before_ours` is called once, before the first module of theirs or ours is imported, and `before_first`
    before the first of the foreign packages is.
    """

    def __init__(
        self,
        rows: Sequence[Patch],
        before_first: Callable[[], None],
        before_ours: Callable[[], None] | None = None,
    ) -> None:
        self._rows: dict[str, list[Patch]] = {}
        for row in rows:
            self._rows.setdefault(row.module, []).append(row)
        self._replacers = {row.replacement.partition(":")[0] for row in rows}
        self._packages = {module.partition(".")[0] for module in self._rows}
        self._before_first: Callable[[], None] | None = before_first
        self._before_ours = before_ours
        self._waiting: list[ModuleType] = []
        self._applied = Applied()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        theirs = name in self._rows or name in self._packages
        before_ours = self._before_ours
        if before_ours is not None and (theirs or name in self._replacers):
            self._before_ours = None
            before_ours()
        before_first = self._before_first
        if before_first is not None and theirs:
            before_first()
            self._before_first = None
        if name not in self._rows and name not in self._replacers:
            return None
        if name.partition(".")[0] in shadows.names():
            # The program's own module of that name.
            return None
        # A finder behind us that asks all of `sys.meta_path` comes back to us, and the loader is
        # wrapped twice: that does no harm, since rows in place are not applied again.
        spec = self._find_behind(name, path, target)
        if spec is not None and spec.loader is not None:
            if not hasattr(spec.loader, "exec_module"):
                raise ImportError(f"transparent_mp cannot patch {name}: {spec.loader!r} has no exec_module")
            spec.loader = _Loader(spec.loader, self._executed)  # type: ignore[assignment]
        return spec

    def patch_loaded(self, *, start_up: bool) -> list[str]:
        """Patch what is imported already; answers the copies made before, which stay as they were."""
        places = []
        for name, rows in self._rows.items():
            if name in sys.modules:
                __import__(name)  # waits for another thread that is importing it
                places += self._applied.apply(sys.modules[name], rows, start_up=start_up)
        return sorted(copies(places)) if places else []

    def close(self) -> None:
        """Leave `sys.meta_path` and give every name its original."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        self._applied.close()

    def _find_behind(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        finders: list[Any] = list(sys.meta_path)
        if self in finders:
            del finders[: finders.index(self) + 1]
        for finder in finders:
            # `find_module` of old is as absent for us as it is for Python 3.12.
            find_spec = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find_spec(name, path, target) if find_spec else None
            if spec is not None:
                return spec
        return None

    def _executed(self, module: ModuleType) -> None:
        if module.__name__ in self._rows:
            self._patch(module)
        if module.__name__ in self._replacers:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                self._patch(each, finished=module.__name__)

    def _patch(self, module: ModuleType, finished: str = "") -> None:
        package, _, child = module.__name__.rpartition(".")
        parent: Any = sys.modules.get(package)
        # Python does this a moment later; a replacement's module may say `package.child.name`.
        bound = parent is not None and child not in vars(parent)
        if bound:
            setattr(parent, child, module)
        try:
            self._applied.apply(module, self._rows[module.__name__])
        except UnfinishedError as error:
            if error.name == finished:
                raise
            self._waiting.append(module)
        except BaseException:
            if bound:
                delattr(parent, child)
            raise


class _Loader:
    """Whatever `loader` is, except that `executed` is called with each module that it has executed."""

    def __init__(self, loader: Any, executed: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._executed = executed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None and module.__spec__.loader is self:  # type: ignore[comparison-overlap]
            module.__spec__.loader = self._loader
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._executed(module)
