"""The client's roots: the directories whose files it serves, and the check that a path stays in them.

By default the directory the program stands in (also when it goes elsewhere later), the program's own,
the temporary one, home, and /dev/shm. A path is in them when it is so after every symlink; of what lies
above a root only its own attributes are told, since programs look at a path part by part.

A path is followed here, directory by directory, each opened in the one before (`walk`): what is done is done
in the directory that was checked, whatever a path means a moment later.

It does not read or write a file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Callable, NamedTuple

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
        """Raise PermissionError unless `path` lies in a root now, whether it is there or not.

        For what is only named: what is done at a path goes by `walk`.
        """
        real = _real(path, follow)
        if not self.holds(real) and not (above and self._leads_to(real)):
            raise PermissionError(errno.EACCES, _REFUSED, path)

    def holds(self, real: str) -> bool:
        """Whether a path without symlinks lies in a root."""
        return any(within(real, root) for root in self._real)

    @contextlib.contextmanager
    def walk(self, path: str, *, follow: bool = True, above: bool = False) -> Iterator[Place]:
        """The directory in which `path` lies, open, and its name there.

        `follow`: what a symlink at its end names; else the symlink. Raises PermissionError unless it lies in
        a root (`above`: or a root in it), and what the operating system raises for a path that leads nowhere.
        """
        if not os.path.isabs(path) or "\0" in path:
            raise PermissionError(errno.EACCES, _REFUSED, path)
        with _Walk(path, self._leads_to) as walk:
            place = walk.to_end(follow)
            if not self.holds(place.real) and not (above and self._leads_to(place.real)):
                raise PermissionError(errno.EACCES, _REFUSED, path)
            yield place

    def _leads_to(self, real: str) -> bool:
        return self.holds(real) or any(within(root, real) for root in self._real)


class Place(NamedTuple):
    """Where a path leads. `name` is no symlink unless that was asked for; "." for the root directory."""

    fd: int
    name: str
    real: str

    def check_regular(self) -> None:
        """Raise PermissionError unless what is there, if anything, is a file or a directory, or a link."""
        try:
            mode = os.stat(self.name, dir_fd=self.fd, follow_symlinks=False).st_mode
        except OSError:
            # Who opens it is told why it cannot be.
            return
        check_mode(mode, self.real)

    def open(self, flags: int, mode: int = 0o777) -> int:
        """A descriptor. What has become a symlink, a pipe or a device since is not opened, nor waited for."""
        self.check_regular()
        fd = os.open(self.name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode, dir_fd=self.fd)
        try:
            check_mode(os.fstat(fd).st_mode, self.real)
        except BaseException:
            os.close(fd)
            raise
        return fd


def check_mode(mode: int, path: str) -> None:
    """Raise PermissionError for what is neither file nor directory (nor symlink)."""
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode) and not stat.S_ISLNK(mode):
        raise PermissionError(errno.EACCES, _SPECIAL, path)


class _Walk:
    """One path, followed from the root directory on."""

    def __init__(self, path: str, allowed: Callable[[str], bool]) -> None:
        self._path = path
        self._allowed = allowed
        self._ahead = _parts(path)
        #: A slash at the end wants a directory.
        self._directory = path.endswith(("/", "/."))
        self._names: list[str] = []
        self._fds: list[int] = []
        self._links = 0

    def __enter__(self) -> _Walk:
        self._fds.append(os.open("/", _FOLDER))
        return self

    def __exit__(self, *_exc: object) -> None:
        for fd in self._fds:
            os.close(fd)

    def to_end(self, follow: bool) -> Place:
        while self._ahead:
            name = self._ahead.pop()
            if name == os.pardir:
                self._up()
            elif self._ahead:
                self._into(name)
            elif not follow or not self._follow(name):
                return self._place(name)
        # The root directory, or one that was reached by "..": it has a name there as well.
        if not self._names:
            return Place(self._fds[-1], os.curdir, "/")
        os.close(self._fds.pop())
        return self._place(self._names.pop())

    def _place(self, name: str) -> Place:
        fd, real = self._fds[-1], self._real(name)
        if self._directory:
            try:
                if not stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                    raise self._refusal(errno.ENOTDIR, real)
            except FileNotFoundError:
                # What may be made under such a name, the operating system knows.
                name += "/"
        return Place(fd, name, real)

    def _up(self) -> None:
        if self._names:
            self._names.pop()
            os.close(self._fds.pop())

    def _into(self, name: str) -> None:
        try:
            fd = os.open(name, _FOLDER, dir_fd=self._fds[-1])
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP) and self._follow(name):
                return
            raise self._refusal(error.errno or errno.EIO, self._real(name)) from None
        self._fds.append(fd)
        self._names.append(name)
        if not self._allowed(self._real()):
            raise self._refusal(errno.EACCES, self._real())

    def _follow(self, name: str) -> bool:
        """Whether it is a symlink; then what it says is ahead."""
        try:
            says = os.readlink(name, dir_fd=self._fds[-1])
        except OSError:
            return False
        self._links += 1
        if self._links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), self._path)
        if says.startswith("/"):
            while self._names:
                self._up()
        if says.endswith(("/", "/.")) and not self._ahead:
            self._directory = True
        self._ahead += _parts(says)
        return True

    def _real(self, name: str = "") -> str:
        return "/" + "/".join([*self._names, name] if name else self._names)

    def _refusal(self, number: int, real: str) -> OSError:
        # Of what lies elsewhere not even whether it is there is told.
        if self._allowed(real):
            return OSError(number, os.strerror(number), self._path)
        return PermissionError(errno.EACCES, _REFUSED, self._path)


#: As many as the kernel follows.
_MOST_LINKS = 40
#: How a directory on the way is opened: to go through it, which needs no right to read it.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _real(path: str, follow: bool) -> str:
    if not os.path.isabs(path) or "\0" in path:
        raise PermissionError(errno.EACCES, _REFUSED, path)
    if follow:
        return os.path.realpath(path)
    folder, name = os.path.split(path.rstrip("/"))
    if name in (os.curdir, os.pardir, ""):
        return os.path.realpath(path)
    return os.path.join(os.path.realpath(folder), name)


def _parts(path: str) -> list[str]:
    """What is between the slashes, the last first."""
    return [part for part in reversed(path.split("/")) if part not in ("", os.curdir)]


def within(path: str, root: str) -> bool:
    """Whether a path is a directory or lies in it, by their names."""
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


@lru_cache(maxsize=1)
def _boot() -> str:
    with original("io", "open")("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return str(file.read().strip())


def view_of_files() -> list[Any]:
    """Equal on two sides exactly when both see the same files with the same rights; [] if it cannot be told.

    The kernel's boot, the mount namespace, the root directory in it, and the user.
    """
    stat_of, readlink = original("os", "stat"), original("os", "readlink")
    try:
        root = stat_of("/")
        return [_boot(), readlink("/proc/self/ns/mnt"), root.st_dev, root.st_ino, os.geteuid(), os.getegid()]
    except OSError:
        return []
