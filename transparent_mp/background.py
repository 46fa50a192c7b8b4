"""Threads of our own, which the program does not see.

They are not `threading.Thread`s, so nothing waits for them at exit. Of the lists that a program may look
through, what a test takes for a leak, they stand in none: `count`, `listed` and `active` are what
`_thread._count`, `threading.enumerate` and `active_count` say without them. (One that asks who it is, as
logging does, gets a dummy in those.) `fork` is os.fork without Python 3.12's warning of threads where the
program has none: ours hold no lock that its child needs, since each resets what it has in the child.

A body must not raise: what it raises is reported as for any thread, and the thread is gone.
"""

from __future__ import annotations

import _thread
import os
import sys
from typing import Any, Callable

from transparent_mp.originals import original


class _Ours:
    """How many there are, and which."""

    running = 0
    idents: set[int] = set()
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


def listed() -> list[Any]:
    """The program's threads that `threading` knows."""
    return [thread for thread in original("threading", "enumerate")() if thread.ident not in _Ours.idents]


def active() -> int:
    """How many those are."""
    return len(listed())


def fork() -> int:
    """os.fork, which counts the threads that the kernel knows."""
    import warnings

    threads = _kernels_threads()
    if threads == 1:
        return int(original("os", "fork")())
    told = threads - _Ours.running > 1
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"This process \(pid=\d+\) is multi-threaded", DeprecationWarning)
        child: int = original("os", "fork")()
    if child and told:
        who = f"This process (pid={os.getpid()})"
        text = f"{who} is multi-threaded, use of fork() may lead to deadlocks in the child."
        warn: Any = warnings.warn
        try:
            warn(text, DeprecationWarning, skip_file_prefixes=(os.path.dirname(__file__),))
        except DeprecationWarning:
            # So does plain Python, for the child is there already.
            pass
    return child


def is_ours() -> bool:
    """Whether the calling thread is one of them."""
    return _thread.get_ident() in _Ours.idents


def forget() -> None:
    """In the child of a fork: they stayed with the parent."""
    _Ours.running = 0
    _Ours.idents = set()
    _Ours.lock = _thread.allocate_lock()


def _kernels_threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return _Ours.running + 1 + count()


def _run(body: Callable[..., None], args: tuple[Any, ...]) -> None:
    ident = _thread.get_ident()
    _Ours.idents.add(ident)
    try:
        body(*args)
    finally:
        # Before another thread can have its number.
        _forget_dummy(ident)
        with _Ours.lock:
            _Ours.idents.discard(ident)
            _Ours.running -= 1


def _forget_dummy(ident: int) -> None:
    threading: Any = sys.modules.get("threading")
    if isinstance(getattr(threading, "_active", {}).get(ident), getattr(threading, "_DummyThread", ())):
        threading._active.pop(ident, None)
