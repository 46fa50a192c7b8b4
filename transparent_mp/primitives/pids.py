"""Process ids of the session, and what the operating system's own calls say about them.

A process on a worker has two ids: the kernel's there, and the session's, which its parent knows.
The program sees the session's (`getpid`, `getppid`), signals by it (`kill`), and every way of
asking for CPUs answers the session's parallelism.

Numbers from FIRST_PID on are the session's; below it the kernel's, and its calls are used as ever. The
one exception: on a worker, the number of the process from which all its processes stem is that one's,
unless a process which this one has started itself happens to have it.

Unlike the standard library, under `forkserver` the parent is the process that called start().

This module is in place from an interpreter's start, so it imports nothing until it is called.
"""

from __future__ import annotations

import os

from transparent_mp.originals import original

_getpid, _getppid = original("os", "getpid"), original("os", "getppid")


class _Own:
    """This process's ids in the session; None while it is none of the session's."""

    pid: int | None = None
    parent: int = 0
    #: 0: ask the settings.
    cpus: int = 0
    #: The nearest ancestor that is on no worker: its kernel's id, and its holder id.
    ancestor: tuple[int, str] = (0, "")


def become(pid: int, parent: int, cpus: int, ancestor: tuple[int, str]) -> None:
    """From here on this process is `pid`, child of `parent`; `ancestor` is as `ancestor()` answers."""
    _Own.pid, _Own.parent, _Own.cpus, _Own.ancestor = pid, parent, cpus, ancestor


def ancestor() -> tuple[int, str] | None:
    """Id and holder id of the nearest ancestor that is on no worker; None if this process itself is."""
    return _Own.ancestor if _Own.pid else None


def getpid() -> int:
    """The session's id of this process, or the kernel's."""
    return _Own.pid or _getpid()


def getppid() -> int:
    """The id of the process that started this one."""
    return _Own.parent if _Own.pid else _getppid()


def kill(pid: int, sig: int, /) -> None:
    """Signal a process of the session, or one of this machine."""
    if pid == _Own.pid:
        original("os", "kill")(_getpid(), sig)
    elif _Own.pid and pid == _Own.ancestor[0] and not _started_here(pid):
        from transparent_mp.primitives.popen import signal_ancestor

        signal_ancestor(_Own.ancestor[1], sig)
    elif pid < _first_pid():
        original("os", "kill")(pid, sig)
    else:
        from transparent_mp.primitives.popen import signal_process

        if not signal_process(pid, sig):
            raise ProcessLookupError(3, "No such process")


def cpu_count() -> int | None:
    """The session's parallelism."""
    return parallelism() or original("os", "cpu_count")()


def sched_getaffinity(pid: int, /) -> set[int]:
    """As many CPUs as the session's parallelism, for this process."""
    count = parallelism()
    if pid == 0 and count:
        return set(range(count))
    return set(original("os", "sched_getaffinity")(pid))


def process_cpu_count() -> int | None:
    """The session's parallelism."""
    return cpu_count()


def parallelism() -> int:
    """The session's parallelism; 0 if nobody has set it, which makes it that of this machine."""
    if _Own.cpus:
        return _Own.cpus
    text = os.environ.get("TRANSPARENT_MP_WORKERS", "")
    return int(text) if text.isdigit() else 0


def _started_here(pid: int) -> bool:
    """Whether the kernel here knows `pid` as a descendant of this process."""
    me = _getpid()
    while pid > 1:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                # The command, which is in brackets, may hold anything.
                pid = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:
            return False
        if pid == me:
            return True
    return False


def _first_pid() -> int:
    from transparent_mp.store.keys import FIRST_PID

    return FIRST_PID


def _after_fork_in_child() -> None:
    # A real child of a process on a worker is known by the kernel's number alone.
    _Own.pid = None


# Not by `forked`, which would be one more module at each interpreter's start.
os.register_at_fork(after_in_child=_after_fork_in_child)
