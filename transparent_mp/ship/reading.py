"""How the client reads a file of its code for a worker: none that a link of a worker's leads to.

A process on a worker may put a symlink into a root under a module's name. So what is read lies, after every
symlink, in a root or in a directory of sys.path; where there is no symlink on the way, it is where it was
found. What is looked at is the open file, so nothing can change between the look and the reading. Only
regular files are read: a pipe is not waited for.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from transparent_mp.ship.roots import Roots, within

_LEADS_OUT = (
    "Permission denied: a symlink leads out of the directories that the client serves; "
    "name the one that it leads to in TRANSPARENT_MP_ROOTS"
)


class Code:
    """The files of a client's code."""

    def __init__(self, roots: Roots | None = None) -> None:
        """`roots`: where workers may make links; None: nowhere."""
        self._roots = roots

    def read(self, path: str, folder: str = "") -> bytes:
        """The whole file. `folder`: where it must lie as well. Raises OSError."""
        with self._opened(path, folder) as fd:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise PermissionError(errno.EACCES, "Permission denied: only files are served", path)
            with open(fd, "rb", closefd=False) as file:
                return file.read()

    def entries(self, path: str, folder: str) -> list[list[object]]:
        """Name of each entry of a directory, and whether it is a directory. Raises OSError."""
        with self._opened(path, folder, os.O_DIRECTORY) as fd, os.scandir(fd) as entries:
            return sorted([entry.name, entry.is_dir()] for entry in entries)

    def check(self, path: str) -> None:
        """Raise OSError unless the directory may be looked into."""
        with self._opened(path, "", os.O_DIRECTORY):
            pass

    def holds(self, path: str) -> bool:
        """Whether it lies in a root or in a directory of sys.path, after every symlink."""
        return self._holds(os.path.realpath(path))

    @contextmanager
    def _opened(self, path: str, folder: str, flags: int = 0) -> Iterator[int]:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
        try:
            real = _real(fd, path)
            if folder and not within(real, os.path.realpath(folder)):
                raise PermissionError(errno.EACCES, "Permission denied: it leads out of its package", path)
            if not self._may_be_read(path, real):
                raise PermissionError(errno.EACCES, _LEADS_OUT, path)
            yield fd
        finally:
            os.close(fd)

    def _may_be_read(self, path: str, real: str) -> bool:
        return self._roots is None or real == os.path.abspath(path) or self._holds(real)

    def _holds(self, real: str) -> bool:
        if self._roots is not None and self._roots.holds(real):
            return True
        return any(within(real, os.path.realpath(entry)) for entry in sys.path if isinstance(entry, str))


def _real(fd: int, path: str) -> str:
    """The open file's own path."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        # No such kernel: by its path, if that still leads to it.
        real = os.path.realpath(path)
        if not os.path.samestat(os.stat(real), os.fstat(fd)):
            raise PermissionError(
                errno.EACCES, "Permission denied: it was another a moment ago", path
            ) from None
        return real
