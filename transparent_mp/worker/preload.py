"""What a supervisor imports before its first fork, so that no child has to.

At its start what every process needs: the parts of multiprocessing (patched by then) and what
pickling needs. Later what the session's processes have imported of the standard library, which they
report at their end, and of the few large packages that take longer to import than most tasks to run
(`ahead.AHEAD`): those of the worker's own installation, under the environment that the first of these
processes gave them; before the fork of a process that is known to refer to one. What they draw at their
import, a process draws anew (`renew`).

Never anything else: another package may start threads, read the program's environment or draw a
seed when it is imported, and processes would share what they must not.

Unlike a fresh interpreter, a process whose environment names another number of threads than an earlier
one's finds these packages with the earlier number, as a forked child does.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from typing import Any, Callable

from transparent_mp.primitives.ahead import AHEAD, Wanted, variables
from transparent_mp.primitives.following import follow

log = logging.getLogger("transparent_mp")

_MODULES = (
    "multiprocessing.connection",
    "multiprocessing.context",
    "multiprocessing.pool",
    "multiprocessing.queues",
    "multiprocessing.synchronize",
    "multiprocessing.sharedctypes",
    "multiprocessing.spawn",
    "concurrent.futures.process",
    "cloudpickle",
    "ctypes",
    "traceback",
)


#: The standard library's own modules that do something to the process when they are imported.
_ACTING = {
    "antigravity",
    "idlelib",
    "readline",
    "rlcompleter",
    "test",
    "this",
    "tkinter",
    "turtle",
    "turtledemo",
}


def modules() -> None:
    """Import them, and keep the collector from touching their pages in every child."""
    for name in _MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def last_imported() -> str:
    """What `imported` is told later. One name, not all: who looks at a name has a page of its own for it."""
    return next(reversed(sys.modules))


def imported(since: str) -> list[str]:
    """Modules of the standard library that were imported after `since`, first imported first."""
    found = []
    try:
        for name in reversed(sys.modules):
            if name == since:
                break
            found.append(name)
    except RuntimeError:
        # A thread that was left behind imports just now. It is a hint only.
        return []
    return [name for name in reversed(found) if _is_standard(name)]


def tell_ahead(say: Callable[[list[str]], None]) -> None:
    """In a process, before it runs: say of each package AHEAD, when it has been imported, how it was.

    At once, since a pool's process may be killed. The words are the variables under which it was, each as
    NAME=VALUE, and its modules.
    """
    path = tuple(sys.path)

    def tell(module: Any) -> None:
        name = module.__name__
        if not _lies_on(name, path):
            return
        # The import of a package brings most of what is deeper.
        made = [one for one in list(sys.modules) if one.partition(".")[0] == name and one.count(".") < 2]
        say([*variables(), *made])

    for name in AHEAD.difference(sys.modules):
        follow(name, tell)


class Imports:
    """What a supervisor imports, now and later; `kept` keeps its lease while it does."""

    def __init__(self, kept: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        self._kept = kept
        self._tried: set[str] = set()
        #: Words of processes that have ended.
        self.wait: list[str] = []

    def next(self) -> bool:
        """Import one of those that wait, and no more: something may have come. Whether it was not here."""
        word = self.wait.pop(0)
        return self._import([] if word in sys.modules else [word])

    def now(self, wanted: Wanted) -> bool:
        """What a process is to find; whether something of it was not here."""
        lacking = [name for name in wanted.modules if name not in sys.modules and name not in self._tried]
        self._tried.update(lacking)
        meant = [name for name in lacking if _is_meant(name, wanted.modules[name])]
        return self._import([*wanted.variables, *meant] if meant else [])

    def _import(self, words: list[str]) -> bool:
        # A large package takes its time, in which nothing else is seen to.
        large = any(word.partition(".")[0] in AHEAD for word in words)
        with self._kept() if large else contextlib.nullcontext():
            for word in words:
                also(word)
        return bool(words)


def also(word: str) -> None:
    """Import one more module, or set a variable first, as a process has reported."""
    name, variable, value = word.partition("=")
    if variable:
        # They are read once.
        if AHEAD.isdisjoint(sys.modules):
            os.environ[name] = value
        return
    try:
        importlib.import_module(name)
    except Exception as error:  # noqa: BLE001  a module may raise anything; then each process sees to it alone
        log.debug("%s is not imported ahead: %s", name, error)
    gc.freeze()


def renew() -> None:
    """In a process: what was drawn when a package was imported ahead is drawn again."""
    random: Any = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()


def _is_meant(name: str, file: str) -> bool:
    """Whether a process would import the package, which its sender has from `file`, from where we do."""
    package = name.partition(".")[0]
    if package not in AHEAD:
        return False
    loaded = sys.modules.get(package)
    spec = PathFinder.find_spec(package) if loaded is None else getattr(loaded, "__spec__", None)
    # A worker's own packages win, unless the sender's lies here as well, earlier on its path.
    return spec is not None and bool(spec.origin) and (spec.origin == file or not os.path.exists(file))


def _lies_on(name: str, path: Sequence[str]) -> bool:
    """Whether the package of that name is the one that a supervisor with that path would import."""
    spec = PathFinder.find_spec(name, list(path))
    ours = getattr(sys.modules[name], "__spec__", None)
    return spec is not None and ours is not None and bool(spec.origin) and spec.origin == ours.origin


def _is_standard(name: str) -> bool:
    spec = getattr(sys.modules[name], "__spec__", None)
    if spec is None or spec.name != name or name.partition(".")[0] in _ACTING:
        return False
    origin = spec.origin or ""
    library = os.path.dirname(os.__file__)
    inside = origin.startswith(library + os.sep) and "-packages" + os.sep not in origin
    return inside or origin in ("built-in", "frozen")
