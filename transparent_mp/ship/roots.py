"""The client's roots: the directories whose files it serves, and the check that a path stays in them.

By default the directory the program stands in (also when it goes elsewhere later), the program's own,
the temporary one, home, and /dev/shm. A path is in them when it is so after every symlink; of what lies
above a root only its own attributes are told, since programs look at a path part by part.

It does not read or write a file.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Iterable
from typing import Any

from transparent_mp.config import Config
from transparent_mp.originals import original

#: The value of TRANSPARENT_MP_ROOTS that serves nothing.
NONE = "none"

_REFUSED = "Permission denied: not within the directories that the client serves (TRANSPARENT_MP_ROOTS)"
_SPECIAL = "Permission denied: only files and directories are served, no devices, pipes and sockets"


class Roots:
    """The roots of one client."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths: list[str] = []
        self._real: list[str] = []
        for path in paths:
            self.add(path)

    @property
    def paths(self) -> list[str]:
        """As the program calls them."""
        return list(self._paths)

    def add(self, path: str) -> None:
        """One more, unless it lies in one that is there."""
        path = os.path.abspath(path)
        if path not in self._paths and os.path.isdir(path):
            self._paths.append(path)
            self._real.append(os.path.realpath(path))

    def check(self, path: str, *, follow: bool = True, above: bool = False) -> None:
        """Raise PermissionError unless `path` lies in a root; `above`: or a root in it."""
        real = _real(path, follow)
        if not any(_within(real, root) for root in self._real) and not (
            above and any(_within(root, real) for root in self._real)
        ):
            raise PermissionError(errno.EACCES, _REFUSED, path)

    def check_regular(self, path: str, *, follow: bool = True) -> None:
        """`check`, and that what is there, if anything, is a file or a directory."""
        self.check(path, follow=follow)
        try:
            mode = os.stat(path, follow_symlinks=follow).st_mode
        except OSError:
            # Who opens it is told why it cannot be.
            return
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode) and not stat.S_ISLNK(mode):
            raise PermissionError(errno.EACCES, _SPECIAL, path)


def _real(path: str, follow: bool) -> str:
    if not os.path.isabs(path) or "\0" in path:
        raise PermissionError(errno.EACCES, _REFUSED, path)
    if follow:
        return os.path.realpath(path)
    folder, name = os.path.split(path.rstrip("/"))
    if name in (os.curdir, os.pardir, ""):
        return os.path.realpath(path)
    return os.path.join(os.path.realpath(folder), name)


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root if root.endswith("/") else root + "/")


def of_client(config: Config) -> list[str]:
    """The roots of this program, by its settings."""
    if config.roots == NONE:
        return []
    if config.roots:
        return config.roots.split(os.pathsep)
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    program = [os.path.dirname(os.path.abspath(main))] if isinstance(main, str) else []
    return [*_here(), *program, _temporary(), os.path.expanduser("~"), "/dev/shm"]  # noqa: S108


def _here() -> list[str]:
    try:
        return [os.getcwd()]
    except OSError:
        # The directory was removed.
        return []


def _temporary() -> str:
    """As `tempfile` will say: asked now, it would keep the answer."""
    candidates = [tempfile.tempdir, *map(os.environ.get, ("TMPDIR", "TEMP", "TMP")), "/tmp"]  # noqa: S108
    return next(str(path) for path in candidates if path and os.path.isdir(path))


def view_of_files() -> list[Any]:
    """Equal on two sides exactly when both see the same files with the same rights; [] if it cannot be told.

    The kernel's boot, the mount namespace, the root directory in it, and the user.
    """
    stat_of, readlink = original("os", "stat"), original("os", "readlink")
    try:
        with original("io", "open")("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        root = stat_of("/")
        return [boot, readlink("/proc/self/ns/mnt"), root.st_dev, root.st_ino, os.geteuid(), os.getegid()]
    except OSError:
        return []
