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
    # Not a subclass, whose objects Python 3.9 frees as what they are not.
    members = {
        "__new__": lambda _cls, *args, **kwargs: semlock(*args, **kwargs),
        "SEM_VALUE_MAX": semlock.SEM_VALUE_MAX,
        "_rebuild": staticmethod(semlock._rebuild),
        "sem_unlink": staticmethod(original("_multiprocessing", "sem_unlink")),
    }
    restored = type("SemLock", (), members)
    return types.SimpleNamespace(**{**vars(stock), "SemLock": restored})
