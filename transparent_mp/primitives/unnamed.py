"""Files of shared memory at the client that have no name yet: nobody can know which one they were given.

    create        a file in the kernel's directory of shared memory, without an entry there
    link          it gets the name that it was given, and the resource tracker is told of it
    unlink        it never had one; it ends with its last descriptor and mapping

Plain Python tells its resource tracker of each name and of its end, which costs more than all else that a
segment costs which no other process ever sees. A file without a name needs none: it ends with the process.

Unlike the standard library, one of which the program has never asked the name is not among the "leaked
shared_memory objects" of the resource tracker's warning.

It does not know segments but for their descriptors, nor when a name has become known: `posixshmem` does.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from multiprocessing import resource_tracker

from transparent_mp.primitives import forked
from transparent_mp.primitives.segments import Segment

#: Where the C library has POSIX shared memory.
_DIRECTORY = "/dev/shm"  # noqa: S108
#: Files at most, each of which holds a descriptor. More: a program that makes many needs up to twice as many
#: descriptors; fewer: one that makes that many pays for their names.
MOST = 64


class _Local(threading.local):
    """Of each thread."""

    #: Whether it makes one under a name that the program has not chosen.
    may = False


class _Unnamed:
    """Those of this process."""

    def __init__(self) -> None:
        self.by_name: dict[str, Segment] = {}
        #: Of these, what the resource tracker has to be told of with the name.
        self.untold: set[str] = set()
        #: What it was never told of, and would hear the end of next.
        self.ended: set[str] = set()
        self.local = _Local()
        self.lock = threading.RLock()


_unnamed = _Unnamed()


def allow(yes: bool) -> bool:
    """Whether `create` makes one in this thread from here on; returns whether it did before."""
    before, _unnamed.local.may = _unnamed.local.may, yes
    return before


def create(segment: Segment, mode: int) -> int:
    """A descriptor of a new file for a segment, which keeps another; -1 if it is to have a name at once.

    Raises FileExistsError if the name that it was given is another's.
    """
    if not _unnamed.local.may or len(_unnamed.by_name) >= MOST or not _possible():
        return -1
    if segment.name in _unnamed.by_name or os.access(f"{_DIRECTORY}/{segment.name}", os.F_OK):
        raise FileExistsError
    kept = -1
    try:
        kept = _open(mode)
        fd = os.dup(kept)
    except OSError:
        # For want of a descriptor, or room: whoever makes one with a name says so.
        if kept >= 0:
            os.close(kept)
        return -1
    segment.fd = kept
    with _unnamed.lock:
        _unnamed.by_name[segment.name] = segment
    return fd


def link(name: str) -> None:
    """Give it the name, if it has none. Raises FileExistsError if there is another file of that name."""
    with _unnamed.lock:
        segment = _unnamed.by_name.get(name)
        if segment is None:
            return
        _link(segment.fd, name)
        del _unnamed.by_name[name]
        if name in _unnamed.untold:
            _unnamed.untold.discard(name)
            resource_tracker.register("/" + name, "shared_memory")


def link_all() -> None:
    """Give all of them their names: another process is going to have them."""
    for name in list(_unnamed.by_name):
        # One that cannot have it now is tried again, and then says why, when somebody asks for it.
        with contextlib.suppress(OSError):
            link(name)


def unlink(name: str) -> bool:
    """Whether it had no name, which it will never have now."""
    with _unnamed.lock:
        if _unnamed.by_name.pop(name, None) is None:
            return False
        if name in _unnamed.untold:
            _unnamed.untold.discard(name)
            _unnamed.ended.add(name)
        return True


def register(name: str) -> bool:
    """Whether the resource tracker need not be told of it yet."""
    if name not in _unnamed.by_name:
        return False
    _unnamed.untold.add(name)
    return True


def unregister(name: str) -> bool:
    """Whether it was never told of it."""
    if name not in _unnamed.ended:
        return False
    _unnamed.ended.discard(name)
    return True


def _open(mode: int) -> int:
    return os.open(_DIRECTORY, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, mode)


def _link(fd: int, name: str) -> None:
    # With a directory's descriptor, which an absolute path does not need, it follows symbolic links.
    os.link(f"/proc/self/fd/{fd}", f"{_DIRECTORY}/{name}", src_dir_fd=fd, follow_symlinks=True)


@functools.cache
def _possible() -> bool:
    """Whether files can be made here without a name and be given one later."""
    if not hasattr(os, "O_TMPFILE"):
        return False
    name = f"transparent_mp-{os.urandom(8).hex()}"
    try:
        fd = _open(0o600)
        try:
            _link(fd, name)
            os.unlink(f"{_DIRECTORY}/{name}")
        finally:
            os.close(fd)
    except OSError:
        return False
    return True


def _after_fork_in_child() -> None:
    _unnamed.lock = threading.RLock()


forked.in_child(_after_fork_in_child)
