"""What a supervisor imports before its first fork, so that no child has to.

At its start what every process needs: the parts of multiprocessing (patched by then) and what
pickling needs. Later what the session's processes have imported of the standard library, which they
report at their end, and of the few large packages that take longer to import than most tasks to run
(AHEAD): those of the worker's own installation, under the environment that the first of these processes
gave them. What they draw at their import, a process draws anew (`renew`).

Never anything else: another package may start threads, read the program's environment or draw a
seed when it is imported, and processes would share what they must not.

Unlike a fresh interpreter, a process whose environment names another number of threads than an earlier
one's finds these packages with the earlier number, as a forked child does.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import sys
from collections.abc import Collection, Sequence
from importlib.machinery import PathFinder
from typing import Any, Callable

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


#: Packages that are imported ahead: nothing of the machine or the program is in what their import makes,
#: but for numpy's seed, and the environment's OF_LIBRARIES.
#: Not torch: its import may take longer than a lease where it is read for the first time.
AHEAD = frozenset({"numpy", "pandas", "scipy", "sklearn"})
#: How the names of variables begin that they, and the libraries they load, read when imported.
_READ = (
    "BLIS_ GOMP_ GOTO_ JOBLIB_ KMP_ LOKY_ MKL_ NPY_ NUMEXPR_ NUMPY_ OMP_ OPENBLAS_ PANDAS_ SCIPY_ SKLEARN_"
)
OF_LIBRARIES = tuple(_READ.split())


def imported(before: Collection[str]) -> list[str]:
    """Modules of the standard library that this process has and `before` has not, first imported first."""
    return [name for name in list(sys.modules) if name not in before and _is_standard(name)]


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
        words = [f"{key}={value}" for key, value in os.environ.items() if key.startswith(OF_LIBRARIES)]
        # The import of a package brings most of what is deeper.
        made = [one for one in list(sys.modules) if one.partition(".")[0] == name and one.count(".") < 2]
        # A word has no space in it.
        say([*(word for word in words if len(word.split()) == 1), *made])

    for name in AHEAD.difference(sys.modules):
        follow(name, tell)


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
