"""What a supervisor imports before its first fork, so that no child has to.

Only what every process needs and what cannot change how a program behaves: the parts of
multiprocessing (patched by then) and what pickling needs.
"""

from __future__ import annotations

import gc
import importlib

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


def modules() -> None:
    """Import them, and keep the collector from touching their pages in every child."""
    for name in _MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
