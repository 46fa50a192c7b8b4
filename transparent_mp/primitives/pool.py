"""What differs in multiprocessing.pool: CPython's Pool runs as it is, over our queues and processes.

Its thread that looks after workers waits for their sentinels and for a notifier, and also on the fd
of the results' pipe, though the notifier tells it when the last result has come (ThreadPool's own
waits for nothing else). Here that fd is a look at the store: each result would cost two commands
more and wake a thread.
"""

from __future__ import annotations

from typing import Any


def get_sentinels(self: Any) -> list[Any]:
    """What the thread that looks after workers waits for, beside their own sentinels."""
    return [self._change_notifier._reader]
