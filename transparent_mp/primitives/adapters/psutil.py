"""What psutil says of this process and of CPUs: it asks the kernel, past what stands in `os`.

A process on a worker is known to its program by the session's id, so `Process()` and
`Process(os.getpid())` are that process, under that id. CPU counts answer the session's parallelism.

Processes on other workers, and their children, are not psutil's to see: for their ids it raises
NoSuchProcess.
"""

from __future__ import annotations

from typing import Any

from transparent_mp.originals import original
from transparent_mp.primitives import pids


def process_init(stock: Any) -> Any:
    """`Process._init`."""

    def init(self: Any, pid: int | None, *args: Any, **kwargs: Any) -> None:
        own = pids.getpid()
        here = original("os", "getpid")()
        if pid not in (None, own) or own == here:
            stock(self, pid, *args, **kwargs)
            return
        stock(self, here, *args, **kwargs)
        # What it reads it reads by the kernel's number, which the object keeps elsewhere.
        self._pid = own
        self._ident = (own, *self._ident[1:])

    return init


def cpu_count(stock: Any) -> Any:
    """`cpu_count`, logical or not."""

    def count(logical: bool = True) -> Any:
        return pids.parallelism() or stock(logical)

    return count


def cpu_affinity(stock: Any) -> Any:
    """`Process.cpu_affinity`."""

    def affinity(self: Any, cpus: Any = None) -> Any:
        count = pids.parallelism()
        if cpus is None and count and self.pid == pids.getpid():
            return list(range(count))
        return stock(self, cpus)

    return affinity
