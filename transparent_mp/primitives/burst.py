"""Processes that are started one after another: how many more their starting thread is about to start.

    of_a_pool, of_an_executor   stand for functions of libraries that start several
    begun                       one is being started: how many there are with those to follow
    asked                       workers have been asked for all of them

So a pool of two hundred asks for its workers with its first process, and they are on their way together, the
one that is waited for among them.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, Callable

from transparent_mp.primitives.snapshot import moment


class _Burst(threading.local):
    left = 0


_burst = _Burst()


@contextlib.contextmanager
def burst(processes: int) -> Iterator[None]:
    """This thread starts so many within the block, with nothing of the program's in between."""
    before, _burst.left = _burst.left, processes
    try:
        with moment():
            yield
    finally:
        _burst.left = before


def begun() -> int:
    """How many there are to start, with the one that is being started."""
    left = max(1, _burst.left)
    _burst.left = left - 1
    return left


def asked() -> None:
    """Those to follow need not be asked for."""
    _burst.left = 0


def of_a_pool(repopulate: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Pool._repopulate_pool."""

    def repopulate_ours(self: Any) -> Any:
        with burst(self._processes - len(self._pool)):
            return repopulate(self)

    return repopulate_ours


def of_an_executor(launch: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """ProcessPoolExecutor._launch_processes, and what loky's has."""

    def launch_ours(self: Any) -> Any:
        with burst(self._max_workers - len(self._processes)):
            return launch(self)

    return launch_ours
