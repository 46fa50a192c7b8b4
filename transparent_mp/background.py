"""Threads of our own, which the program does not see.

They are not `threading.Thread`s, so they stand in none of the lists that a program may look through
(`threading.enumerate`, what a test takes for a leak), and nothing waits for them at exit. `count`
is what `_thread._count` says without them.

A body must not raise: what it raises is reported as for any thread, and the thread is gone.
"""

from __future__ import annotations

import _thread
from typing import Any, Callable

from transparent_mp.originals import original


class _Ours:
    """How many there are."""

    running = 0
    lock = _thread.allocate_lock()


def start(body: Callable[..., None], *args: Any) -> None:
    """Run `body(*args)` in a thread of our own."""
    with _Ours.lock:
        _Ours.running += 1
    _thread.start_new_thread(_run, (body, args))


def count() -> int:
    """The program's threads."""
    everything: int = original("_thread", "_count")()
    return everything - _Ours.running


def forget() -> None:
    """In the child of a fork: they stayed with the parent."""
    _Ours.running = 0
    _Ours.lock = _thread.allocate_lock()


def _run(body: Callable[..., None], args: tuple[Any, ...]) -> None:
    try:
        body(*args)
    finally:
        with _Ours.lock:
            _Ours.running -= 1
