"""Named segments: what the names of SharedMemory mean to this process and to its session.

    PRIVATE    made here, and nobody can know its name: nothing of it is in the store
    HOME       a file of the client's machine, as in plain Python; the session knows the name, and the
               client brings the contents into the store when a process elsewhere wants them
    WAITING    attached by name; its contents come when the program first looks at them
    SHARED     a replica of a segment in the store, as `memory` has it
    INHERITED  came along with a real fork and stays shared with the parent, who exchanges it

    made at the client            PRIVATE -> HOME when its name is given or asked for
    made elsewhere                PRIVATE -> SHARED then, since its maker may be killed any time
    the client is asked for it    HOME -> SHARED
    attached elsewhere            WAITING -> SHARED at the first look at `buf`

A name holds its segment until it is unlinked, and whoever has it mapped holds it too. Only the client
has files; elsewhere the memory is a file without a name, so that several handles of a process map the
same pages. Lost with a process that is killed is what it wrote since its last release.

It does not know `SharedMemory`: `shared_memory` does.
"""

from __future__ import annotations

import ctypes
import enum
import errno
import mmap
import os
import tempfile
import threading
import weakref
from collections.abc import Iterator
from typing import Any

try:
    import _posixshmem
except ImportError:
    # A Python built without it has no multiprocessing.shared_memory either.
    _posixshmem = None

from transparent_mp.primitives import memory, sharing
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.heap import map_file, unmap
from transparent_mp.primitives.replica import Replica
from transparent_mp.ship import requests


class State(enum.Enum):
    """Where a segment's contents are; see the module's head."""

    PRIVATE = "private"
    HOME = "home"
    WAITING = "waiting"
    SHARED = "shared"
    INHERITED = "inherited"


class Mapping:
    """The memory of a replica: a mapping of its own, so that the program may close all of its."""

    def __init__(self, fd: int, size: int) -> None:
        self._address, self._size = map_file(fd, size), size
        # The segment's own may be closed before the last exchange.
        self._fd = os.dup(fd)
        self.view = memoryview((ctypes.c_char * size).from_address(self._address)).cast("B")

    def isolate(self) -> None:
        """Nothing: `after_fork_in_child` leaves it to the parent."""

    def stretches(self) -> Iterator[tuple[int, int]]:
        """Where the file has pages. The rest would be given pages, and those be taken, by a look."""
        stop = 0
        while stop < self._size:
            try:
                first = os.lseek(self._fd, stop, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    # This kernel does not say, so it may be anywhere.
                    yield 0, self._size
                return
            stop = min(os.lseek(self._fd, first, os.SEEK_HOLE), self._size)
            yield first, stop

    def free(self) -> None:
        unmap(self._address, self._size)
        os.close(self._fd)


class Segment:
    """One named segment in this process; lives as long as one of its mappings does."""

    def __init__(self, name: str, state: State, size: int = 0, fd: int = -1, oid: str = "") -> None:
        self.name = name
        self.state = state
        self.size = size
        #: A descriptor of its memory; -1 for a file of the client's that can be opened by name.
        self.fd = fd
        self.oid = oid
        #: Whether the client has the contents and must be asked for them.
        self.ask = False
        #: Handles of the program, for their descriptors.
        self.handles: weakref.WeakSet[Any] = weakref.WeakSet()
        self._hold: sharing.Hold | None = None
        self._replica: Replica | None = None
        self._lock = threading.RLock()

    def __del__(self) -> None:
        waiting.discard(self.oid)
        if self.fd >= 0:
            os.close(self.fd)

    def wait(self, hold: sharing.Hold, *, ask: bool) -> None:
        """Attach without looking at the contents."""
        self.state, self.oid, self._hold, self.ask = State.WAITING, hold.oid, hold, ask
        waiting.add(self.oid)

    def look(self) -> None:
        """Bring the contents here, if they are not yet."""
        with self._lock:
            if self.state is State.WAITING:
                if self.ask and requests.ask(
                    sessions.current(), "segment", {"name": self.name, "oid": self.oid}
                )[0].get("gone"):
                    raise FileNotFoundError(
                        2, "the client's shared memory of that name was removed by another program", self.name
                    )
                self._replica = memory.replicate(self.oid, Mapping(self.fd, self.size))
                self._became(State.SHARED)

    def share(self, oid: str = "") -> None:
        """Bring the contents into the store, if they are not there yet; `oid`: of the segment's object."""
        with self._lock:
            if self.state in (State.PRIVATE, State.HOME):
                self._replica = memory.share(Mapping(self.descriptor(), self.size), oid=oid)
                self.oid = self._replica.oid
                self._became(State.SHARED)

    def unshare(self) -> None:
        """Stop exchanging; the name turned out to be taken."""
        self._replica = None

    def hold(self) -> sharing.Hold:
        """This process's hold on the segment."""
        if self._replica is not None:
            return self._replica.hold
        return self._hold or sharing.take(sessions.current(), self.oid)

    def descriptor(self) -> int:
        """A descriptor of the memory, which stays this segment's."""
        if self.fd < 0:
            opened = [handle._fd for handle in self.handles if handle._fd >= 0]
            self.fd = os.dup(opened[0]) if opened else open_file(self.name, os.O_RDWR)
        return self.fd

    def inherit(self) -> None:
        """In the child of a fork."""
        self._lock = threading.RLock()
        if self._replica is not None:
            memory.detach(self._replica)
        self._became(State.INHERITED)

    def _became(self, state: State) -> None:
        self.state = state
        self.ask = False
        self._hold = None
        waiting.discard(self.oid)


class _Segments:
    """The named segments of this process."""

    def __init__(self) -> None:
        #: By name, as long as it has that name here.
        self.live: weakref.WeakValueDictionary[str, Segment] = weakref.WeakValueDictionary()
        #: By mapping, which may outlive the handle that made it.
        self.mapped: weakref.WeakKeyDictionary[mmap.mmap, Segment] = weakref.WeakKeyDictionary()

    def every(self) -> list[Segment]:
        return list({id(segment): segment for segment in self.mapped.values()}.values())


_segments = _Segments()
live = _segments.live
mapped = _segments.mapped
#: Object ids of the segments that nobody has looked at: a look at any other costs one test of this.
waiting: set[str] = set()


def nameless(size: int) -> int:
    """A descriptor of zeroed memory that has no name."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("transparent_mp")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    return fd


def open_file(name: str, flags: int, mode: int = 0o600) -> int:
    """Open shared memory of this machine, as plain Python does."""
    return int(_posixshmem.shm_open("/" + name, flags, mode=mode))


def unlink_file(name: str) -> None:
    """Remove shared memory of this machine."""
    _posixshmem.shm_unlink("/" + name)


def _before_fork() -> None:
    # What nobody has looked at could not be brought by parent and child both.
    if waiting:
        for segment in _segments.every():
            segment.look()


def _after_fork_in_child() -> None:
    for segment in _segments.every():
        segment.inherit()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
