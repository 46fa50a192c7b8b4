"""billiard, celery's edition of multiprocessing, stays on this machine: it gets its own leaf back.

Its pool reads and writes descriptors that parent and child inherit, so its processes are real forks,
and their locks are to be those of the kernel. It takes them from the standard library's module, or
from one of its own where that was compiled.

It does not make billiard's processes run on workers.
"""

from __future__ import annotations

import types
from typing import Any

from transparent_mp.originals import original


def leaf(stock: Any) -> Any:
    """`_ext._billiard`: the module with the semaphores."""
    if stock.__name__ != "_multiprocessing":
        return stock
    semlock: Any = original("_multiprocessing", "SemLock")
    # Where it looks for the function first. Without slots Python 3.9 frees such objects as what they are not.
    members = {"__slots__": (), "sem_unlink": staticmethod(original("_multiprocessing", "sem_unlink"))}
    restored = type("SemLock", (semlock,), members)
    return types.SimpleNamespace(**{**vars(stock), "SemLock": restored})
