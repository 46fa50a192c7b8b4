"""What differs in multiprocessing.pool: CPython's Pool runs as it is, over our queues and processes.

Its thread that looks after workers waits for their sentinels and for a notifier, and also on the fd
of the results' pipe, though the notifier tells it when the last result has come (ThreadPool's own
waits for nothing else). Here that fd is a look at the store: each result would cost two commands
more and wake a thread.

When the store is lost no result can come any more: those that are waited for get the error, where
CPython's threads would only end.
"""

from __future__ import annotations

import weakref
from typing import Any


def get_sentinels(self: Any) -> list[Any]:
    """What the thread that looks after workers waits for, beside their own sentinels."""
    # Asked once by every pool that is made.
    _pools.add(self)
    return [self._change_notifier._reader]


def fail_all(error: Exception) -> None:
    """Let every result that is waited for raise `error`."""
    for pool in list(_pools):
        for result in list(pool._cache.values()):
            _fail(result, error)


def _fail(result: Any, error: Exception) -> None:
    if hasattr(result, "_number_left"):
        # A map is done when all its chunks are.
        for _ in range(result._number_left):
            result._set(0, (False, error))
    else:
        # An iterator's next item, or the one result there is.
        result._set(getattr(result, "_index", 0), (False, error))


_pools: weakref.WeakSet[Any] = weakref.WeakSet()
