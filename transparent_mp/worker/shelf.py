"""A worker's shelf: large contents that its processes share, each fetched once.

A content lies in a file named by its digest, in a directory of this worker alone, and is mapped
copy-on-write: a process may change its view, and processes that do not share its pages. When the
directory is full, or there is none, a process keeps its own copy in memory. What was not used for longest
goes when the shelf is; who has mapped it keeps its pages.

The directory is locked while the worker or a process of it lives. One that nobody has locked is that of a
worker that was killed, and the next worker on this machine removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import shutil
import tempfile
from typing import Any, Callable

from transparent_mp.ship import contents
from transparent_mp.store.depot import Depot
from transparent_mp.store.session import Session
from transparent_mp.worker.pantry import Pantry

#: Bytes that a shelf may have in any case; a content that was just fetched stays, whatever its size.
ROOM = 256 * 1024 * 1024
#: What it may have of the disk beyond that: one in so many of the bytes that would be free without it. Fewer:
#: more contents are not fetched again; more: less of the disk, or of the memory where that is what /tmp is.
PART = 4
#: What the names of these directories begin with.
PREFIX = "transparent_mp-shelf-"


class Shelf:
    """Made by the supervisor before it forks; used by its children."""

    def __init__(self, depot: Depot | None = None) -> None:
        #: Where the session's largest contents come from; made ready before there are processes.
        self.depot = depot
        #: Code, which outlives this worker.
        self.pantry = Pantry()
        self.pantry.trim()
        #: Its directory, or '' when there can be none; what holds its lock.
        self.place, self._lock = "", -1
        with contextlib.suppress(OSError):
            _sweep()
            self._make()

    def content(self, session: Session, digest: str, before: Callable[[], None] | None = None) -> Any:
        """A writable buffer of the content. `before`: done before it is fetched, if it is."""
        before = before or _nothing
        if self.place:
            with contextlib.suppress(OSError):
                return self._shared(session, digest, before)
        before()
        return bytearray(contents.get(session, digest))

    def clear(self) -> None:
        """At the worker's end."""
        if self.place:
            # Else a spare that was forked just now would make its directory while this one is removed.
            ended = self.place + "-ended"
            with contextlib.suppress(OSError):
                os.rename(self.place, ended)
                # Once more for one that had looked the old name up already.
                for _ in range(2):
                    shutil.rmtree(ended, ignore_errors=True)
            os.close(self._lock)
            self.place = ""

    def _make(self) -> None:
        while not self.place:
            place = tempfile.mkdtemp(prefix=PREFIX)
            try:
                lock = os.open(place, os.O_RDONLY)
            except FileNotFoundError:
                # As below, and a moment sooner.
                continue
            fcntl.flock(lock, fcntl.LOCK_SH)
            # Another worker may have found it in between, without a lock.
            if os.path.isdir(place):
                self.place, self._lock = place, lock
            else:
                os.close(lock)

    def _shared(self, session: Session, digest: str, before: Callable[[], None]) -> Any:
        path = os.path.join(self.place, digest)
        if not os.path.exists(path):
            with open(path + ".lock", "wb") as lock:
                # Whoever comes second waits for the first one's copy.
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not os.path.exists(path):
                    before()
                    self._fetch(session, digest, path)
        os.utime(path)
        with open(path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)

    def _fetch(self, session: Session, digest: str, path: str) -> None:
        try:
            with open(path + ".part", "wb") as file:
                for chunk in contents.stream(session, digest):
                    file.write(chunk)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path + ".part")
            raise
        os.rename(path + ".part", path)
        self._make_room(path)

    def _make_room(self, newest: str) -> None:
        found = []
        for entry in os.scandir(self.place):
            # Processes have directories of their own here, for their sockets.
            content = entry.is_file(follow_symlinks=False) and not entry.name.endswith((".lock", ".part"))
            if entry.path != newest and content:
                # Another process may be making room as well.
                with contextlib.suppress(FileNotFoundError):
                    found.append((entry.stat().st_mtime_ns, entry.stat().st_size, entry.path))
        total = os.path.getsize(newest) + sum(size for _, size, _ in found)
        disk = os.statvfs(self.place)
        room = max(ROOM, (disk.f_bavail * disk.f_frsize + total) // PART)
        for _, size, path in sorted(found):
            if total <= room:
                break
            total -= size
            for each in (path, path + ".lock"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(each)


def _nothing() -> None:
    """What there is to do before a content is fetched that is stored already."""


def _sweep() -> None:
    """Remove the shelves of workers that were killed."""
    with os.scandir(tempfile.gettempdir()) as entries:
        found = [entry for entry in entries if entry.name.startswith(PREFIX)]
    for entry in found:
        with contextlib.suppress(OSError):
            if entry.stat(follow_symlinks=False).st_uid != os.getuid():
                continue
            lock = os.open(entry.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(entry.path, ignore_errors=True)
            finally:
                os.close(lock)
