"""What a supervisor imports before its first fork, so that no child has to.

At its start what every process needs: the parts of multiprocessing (patched by then) and what
pickling needs. Later what the session's processes have imported of the standard library, which they
report at their end. Never anything else: another package may start threads, read the program's
environment or draw a seed when it is imported, and processes would share what they must not.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import sys
from collections.abc import Collection

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


def imported(before: Collection[str]) -> list[str]:
    """Modules of the standard library that this process has and `before` has not, first imported first."""
    return [name for name in list(sys.modules) if name not in before and _is_standard(name)]


def also(name: str) -> None:
    """Import one more, which a process has reported."""
    try:
        importlib.import_module(name)
    except Exception as error:  # noqa: BLE001  a module may raise anything; then each process sees to it alone
        log.debug("%s is not imported ahead: %s", name, error)
    gc.freeze()


def _is_standard(name: str) -> bool:
    spec = getattr(sys.modules[name], "__spec__", None)
    if spec is None or spec.name != name or name.partition(".")[0] in _ACTING:
        return False
    origin = spec.origin or ""
    library = os.path.dirname(os.__file__)
    inside = origin.startswith(library + os.sep) and "-packages" + os.sep not in origin
    return inside or origin in ("built-in", "frozen")
