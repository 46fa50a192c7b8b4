"""A fork whose child is not this process's but its parent's, which thus waits for it and is told of its end.

Linux's clone with CLONE_PARENT, and around it what the interpreter does around its own fork. The C library's
fork does two things beside: it calls handlers of libraries, which are for threads, and it writes the child's
number where the library keeps that of a thread. The kernel does the second, where it can say which place that
is.

It does not know what is forked; the caller has one thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import platform
import signal
import sys
from typing import Any, Callable, NamedTuple

from transparent_mp.originals import original

_PR_GET_TID_ADDRESS = 40
_CLONE_PARENT, _CLONE_CHILD_CLEARTID, _CLONE_CHILD_SETTID = 0x8000, 0x200000, 0x1000000
_FLAGS = _CLONE_PARENT | _CLONE_CHILD_CLEARTID | _CLONE_CHILD_SETTID | signal.SIGCHLD
#: Machine -> number of the call, and where the place of the child's number stands among its five arguments.
_CALLS = {"x86_64": (56, 3), "aarch64": (220, 4)}


_set_affinity = original("os", "sched_setaffinity")
_here: Callable[[], int] | None = getattr(ctypes.CDLL(None), "sched_getcpu", None)


class _Calls(NamedTuple):
    #: The processors that this may run on, and how it is scheduled.
    everywhere: set[int]
    policy: int
    #: Keeps the interpreter's lock, unlike most that ctypes calls.
    clone: Any
    before: Any
    in_parent: Any
    in_child: Any


def calls() -> _Calls | None:
    """What `fork` needs in this process; None where it cannot be."""
    known = _CALLS.get(platform.machine()) if sys.platform == "linux" else None
    place = _place_of_number()
    if known is None or not place:
        return None
    number, at = known
    words = [_FLAGS, 0, 0, 0, 0]
    words[at] = place
    args = [ctypes.c_long(number), *map(ctypes.c_ulong, words)]
    syscall = ctypes.PyDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    api = ctypes.pythonapi
    return _Calls(
        original("os", "sched_getaffinity")(0),
        os.sched_getscheduler(0),
        lambda: syscall(*args),
        api.PyOS_BeforeFork,
        api.PyOS_AfterFork_Parent,
        api.PyOS_AfterFork_Child,
    )


def draw_near(child: int) -> None:
    """Have a process that is to fork do so where this one runs, which is about to wait.

    The kernel would have it, or what it forks, on the processor of who has just begun to run.
    """
    here = _here() if _here is not None else -1
    if here >= 0:
        with contextlib.suppress(OSError):
            _set_affinity(child, {here})


def give_way(by: _Calls) -> None:
    """Have this process and what it forks take no processor from others, until they `roam`."""
    if by.policy == os.SCHED_OTHER:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def roam(by: _Calls) -> None:
    """In what was forked: run as any process does, and wherever this may."""
    with contextlib.suppress(OSError):
        _set_affinity(0, by.everywhere)
        if by.policy == os.SCHED_OTHER:
            os.sched_setscheduler(0, by.policy, os.sched_param(0))


def fork(by: _Calls) -> int:
    """As os.fork, but the child's collector of cycles is off. Raises OSError."""
    collects = gc.isenabled()
    # Between the calls the interpreter holds locks that what a collection runs may want.
    gc.disable()
    by.before()
    child: int = by.clone()
    if child == 0:
        by.in_child()
    else:
        error = ctypes.get_errno()
        by.in_parent()
    if collects and child:
        gc.enable()
    if child < 0:
        raise OSError(error, os.strerror(error))
    return child


def _place_of_number() -> int:
    """Where the C library keeps this thread's number; 0 if nobody can say."""
    place = ctypes.c_void_p()
    try:
        prctl = ctypes.CDLL(None).prctl
    except AttributeError:
        return 0
    if prctl(_PR_GET_TID_ADDRESS, ctypes.byref(place), 0, 0, 0) or not place.value:
        return 0
    # Another C library keeps something else there.
    return place.value if ctypes.c_int.from_address(place.value).value == _own_number() else 0


def _own_number() -> int:
    return int(original("os", "readlink")("/proc/thread-self").rpartition("/")[2])
