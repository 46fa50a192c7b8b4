"""The client's files that this worker has read: each version once, for all of its processes.

    n-PATH     a symlink that says the version last read under that path
    v-VERSION  the content; sparse while parts of it have not been read
    m-VERSION  which of its chunks are there, a byte each; gone when all are

The directory belongs to the worker and is removed with it. When it is full, what is not needed now is
removed: who has it open keeps it, who wants it again asks again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from typing import Any, Callable, TypeVar

from transparent_mp.worker.files.real import real_os

#: Bytes that are either there or not.
CHUNK = 1 << 20
#: Chunks of one request when a file is read from one end to the other.
RUN = 8

Result = TypeVar("Result")

#: Reads `count` bytes at `at` of the client's file, and says whether it still is that version.
Fetch = Callable[[int, int], tuple[bytes, bool]]


class Copies:
    """One worker's copies; made by the process that needs it, over a directory that all share."""

    def __init__(self, place: str) -> None:
        self._place = place
        with contextlib.suppress(FileExistsError):
            real_os.mkdir(place, 0o700)

    def known(self, path: str) -> tuple[str, bool]:
        """The version last read under that path, if it is still here, and whether it is here as a whole."""
        try:
            version = str(real_os.readlink(self._name("n", path)))
            real_os.stat(self._name("v", version))
        except OSError:
            return "", False
        try:
            real_os.stat(self._name("m", version))
        except OSError:
            return version, True
        return version, False

    def put(self, path: str, version: str, content: bytes) -> None:
        """Keep a whole file."""
        partial = self._name("p", f"{version}-{os.getpid()}-{threading.get_ident()}")

        def write() -> None:
            with _file(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as fd:
                write_all(fd, content, 0)

        try:
            self.in_room(write, version)
        except OSError:
            real_os.unlink(partial)
            raise
        real_os.rename(partial, self._name("v", version))
        self._say(path, version)

    def begin(self, path: str, version: str, size: int) -> None:
        """Prepare for a file that is read in parts."""
        data, chunks = self._name("v", version), self._name("m", version)

        def make() -> None:
            with _file(self._name("l", "begin"), os.O_WRONLY | os.O_CREAT) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not _there(data):
                    for name, length in ((chunks, -(-size // CHUNK)), (data, size)):
                        with _file(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as fd:
                            real_os.ftruncate(fd, length)

        self.in_room(make, version)
        self._say(path, version)

    def open(self, version: str, size: int, fetch: Fetch) -> tuple[int, Parts | None]:
        """A descriptor to read from, and what is missing of the content, if anything is.

        Raises FileNotFoundError when it was removed to make room.
        """
        fd: int = real_os.open(self._name("v", version), os.O_RDONLY | os.O_CLOEXEC)
        try:
            chunks = real_os.open(self._name("m", version), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return fd, None
        try:
            data = real_os.open(self._name("v", version), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            real_os.close(chunks)
            real_os.close(fd)
            raise
        return fd, Parts(self, version, size, data, chunks, fetch)

    def forget(self, version: str) -> None:
        """Nobody is to find this version any more."""
        for kind in "vm":
            with contextlib.suppress(FileNotFoundError):
                real_os.unlink(self._name(kind, version))

    def completed(self, version: str) -> None:
        """Nothing is missing of it any more."""
        with contextlib.suppress(FileNotFoundError):
            real_os.unlink(self._name("m", version))

    def in_room(self, do: Callable[[], Result], keep: str = "") -> Result:
        """Do what takes room; if there is none, all copies but `keep` give way, and it is done again."""
        try:
            return do()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            self._make_room(keep)
            return do()

    def _make_room(self, keep: str) -> None:
        kept = {os.path.basename(self._name(kind, keep)) for kind in "vm"}
        for name in real_os.listdir(self._place):
            if name[0] in "vm" and name not in kept:
                with contextlib.suppress(OSError):
                    real_os.unlink(os.path.join(self._place, name))

    def _say(self, path: str, version: str) -> None:
        before, _ = self.known(path)
        link = self._name("n", path)
        partial = f"{link}-{os.getpid()}-{threading.get_ident()}"
        real_os.symlink(version, partial)
        real_os.rename(partial, link)
        if before not in ("", version):
            self.forget(before)

    def _name(self, kind: str, what: str) -> str:
        digest = hashlib.sha256(os.fsencode(what)).hexdigest()[:32]
        return f"{self._place}/{kind}-{digest}"


class Parts:
    """A copy of which parts may be missing."""

    def __init__(self, copies: Copies, version: str, size: int, data: int, chunks: int, fetch: Fetch) -> None:
        self._copies = copies
        self._version = version
        self._size = size
        self._data = data
        self._chunks = chunks
        self._fetch = fetch
        self._count = -(-size // CHUNK)
        self._next = 0
        self._run = 1
        self._lock = threading.Lock()
        # Chunks that this process has seen there.
        self._seen = bytearray(self._count)

    def ensure(self, at: int, end: int) -> None:
        """Have the bytes from `at` to `end` here. Raises OSError, ENOSPC when there is no room for them."""
        first, last = at // CHUNK, -(-min(end, self._size) // CHUNK)
        if self._seen.find(0, first, last) < 0:
            return
        with self._lock:
            while True:
                missing = self._seen.find(0, first, last)
                if missing < 0:
                    return
                self._bring(missing, last)

    def close(self) -> None:
        real_os.close(self._data)
        real_os.close(self._chunks)

    def _bring(self, chunk: int, wanted: int) -> None:
        """Fetch from `chunk` on, unless another process has: at least that one."""
        self._run = min(self._run * 2, RUN) if chunk == self._next else 1
        end = min(max(min(wanted, chunk + RUN), chunk + self._run), self._count)
        # Whoever comes second waits for the first one's bytes.
        fcntl.flock(self._chunks, fcntl.LOCK_EX)
        try:
            there = real_os.pread(self._chunks, end - chunk, chunk)
            if there[:1] == b"\0":
                stop = there.find(1)
                end = chunk + (stop if stop > 0 else len(there))
                self._take(chunk, end)
            else:
                stop = there.find(0)
                end = chunk + (stop if stop > 0 else len(there))
        finally:
            fcntl.flock(self._chunks, fcntl.LOCK_UN)
        self._seen[chunk:end] = b"\1" * (end - chunk)
        self._next = end

    def _take(self, chunk: int, end: int) -> None:
        at = chunk * CHUNK
        wanted = min(end * CHUNK, self._size) - at
        content, same = self._fetch(at, wanted)
        try:
            self._copies.in_room(lambda: write_all(self._data, content, at), self._version)
        except OSError:
            # What is here of it would fill the disk for nothing.
            self._copies.forget(self._version)
            raise
        if not same:
            # It changes while it is read: this reader sees a mixture, as it would locally; no other does.
            self._copies.forget(self._version)
            if len(content) < wanted:
                real_os.ftruncate(self._data, at + len(content))
        real_os.pwrite(self._chunks, b"\1" * (end - chunk), chunk)
        if real_os.pread(self._chunks, self._count, 0).find(0) < 0:
            self._copies.completed(self._version)


@contextlib.contextmanager
def _file(path: str, flags: int) -> Iterator[int]:
    fd = real_os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        real_os.close(fd)


def write_all(fd: int, content: Any, at: int) -> None:
    """Write all of it, without moving the descriptor's offset."""
    view = memoryview(content)
    while view:
        done = real_os.pwrite(fd, view, at)
        view, at = view[done:], at + done


def _there(path: str) -> bool:
    try:
        real_os.stat(path)
    except OSError:
        return False
    return True
