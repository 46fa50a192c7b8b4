"""Operations on paths that need no open file, done at the client: the table of what a worker may call.

All of its paths must lie in a root; each row says whether a symlink at their end is followed. What a new
symlink says is no path of ours: who follows it is checked then.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import Any, Callable, NamedTuple

from transparent_mp.ship.roots import Place, Roots


class _Row(NamedTuple):
    do: Callable[..., Any]
    #: Follows a symlink at the end of its paths; None: `follow` of the request says.
    follow: bool | None = True
    #: What lies above a root may be asked about.
    above: bool = False


def call(roots: Roots, request: dict[str, Any]) -> Any:
    """Do what a request names."""
    if request["name"] == "realpath":
        return _realpath(roots, *request["paths"], **request["with"])
    row = _TABLE[request["name"]]
    with contextlib.ExitStack() as stack:
        places = []
        for path in request["paths"]:
            # A slash behind a symlink follows it.
            follow = request["follow"] or path.endswith(("/", "/.")) if row.follow is None else row.follow
            places.append(stack.enter_context(roots.walk(path, follow=follow, above=row.above)))
        return row.do(*places, **request["with"])


def packed(found: os.stat_result) -> list[int]:
    """A stat result as plain numbers; `worker.files.entries.unpacked` makes it one again."""
    return [*found[:7], found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns,
            found.st_blksize, found.st_blocks, found.st_rdev]  # fmt: skip


# Whether symlinks are followed was decided on the way to a place: what has become one since is none of it.


def _stat(at: Place) -> list[int]:
    return packed(os.stat(at.name, dir_fd=at.fd, follow_symlinks=False))


def _access(at: Place, mode: int, effective_ids: bool) -> bool:
    return os.access(at.name, mode, dir_fd=at.fd, effective_ids=effective_ids, follow_symlinks=False)


def _readlink(at: Place) -> str:
    return os.readlink(at.name, dir_fd=at.fd)


def _realpath(roots: Roots, path: str, **how: Any) -> str:
    """Also of what is not there."""
    roots.check(path, follow=False, above=True)
    return os.path.realpath(path, **how)


def _scan(at: Place) -> list[Any]:
    """Name and lstat of each entry; what vanishes meanwhile is left out."""
    found = []
    fd = os.open(at.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at.fd)
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    found.append([entry.name, packed(entry.stat(follow_symlinks=False))])
    finally:
        os.close(fd)
    return found


def _mkdir(at: Place, mode: int) -> None:
    os.mkdir(at.name, mode, dir_fd=at.fd)
    if stat.S_IMODE(os.stat(at.name, dir_fd=at.fd, follow_symlinks=False).st_mode) & 0o777 != mode & 0o777:
        _chmod(at, mode)


def _enter(at: Place) -> str:
    """The directory's own name, if a process may stand there."""
    if not stat.S_ISDIR(os.stat(at.name, dir_fd=at.fd, follow_symlinks=False).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), at.real)
    if not _access(at, os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), at.real)
    return at.real


def _statvfs(at: Place) -> list[int]:
    with _opened(at) as fd:
        return list(os.statvfs(fd))


def _rmdir(at: Place) -> None:
    os.rmdir(at.name, dir_fd=at.fd)


def _unlink(at: Place) -> None:
    os.unlink(at.name, dir_fd=at.fd)


def _rename(at: Place, to: Place) -> None:
    os.rename(at.name, to.name, src_dir_fd=at.fd, dst_dir_fd=to.fd)


def _link(at: Place, to: Place) -> None:
    os.link(at.name, to.name, src_dir_fd=at.fd, dst_dir_fd=to.fd, follow_symlinks=False)


def _symlink(at: Place, says: str) -> None:
    os.symlink(says, at.name, dir_fd=at.fd)


def _truncate(at: Place, length: int) -> None:
    fd = at.open(os.O_WRONLY)
    try:
        os.ftruncate(fd, length)
    finally:
        os.close(fd)


def _utime(at: Place, ns: list[int] | None) -> None:
    if ns is None:
        os.utime(at.name, dir_fd=at.fd, follow_symlinks=False)
    else:
        os.utime(at.name, ns=(ns[0], ns[1]), dir_fd=at.fd, follow_symlinks=False)


def _chmod(at: Place, mode: int) -> None:
    with _opened(at) as fd:
        os.chmod(_by_descriptor(fd), mode)


def _chown(at: Place, uid: int, gid: int) -> None:
    os.chown(at.name, uid, gid, dir_fd=at.fd, follow_symlinks=False)


@contextlib.contextmanager
def _opened(at: Place) -> Iterator[int]:
    """A descriptor of what is there, without a right to read it; a symlink is refused."""
    fd = os.open(at.name, _ITSELF | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at.fd)
    try:
        if stat.S_ISLNK(os.fstat(fd).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), at.real)
        yield fd
    finally:
        os.close(fd)


_ITSELF = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK)


def _by_descriptor(fd: int) -> Any:
    # What takes a path only is given one that is the descriptor's.
    return f"/proc/self/fd/{fd}" if hasattr(os, "O_PATH") else fd


_TABLE: dict[str, _Row] = {
    "stat": _Row(_stat, None, above=True),
    "access": _Row(_access, None, above=True),
    "readlink": _Row(_readlink, follow=False, above=True),
    "scan": _Row(_scan),
    "enter": _Row(_enter),
    "statvfs": _Row(_statvfs),
    "mkdir": _Row(_mkdir, follow=False),
    "rmdir": _Row(_rmdir, follow=False),
    "unlink": _Row(_unlink, follow=False),
    "rename": _Row(_rename, follow=False),
    "link": _Row(_link, None),
    "symlink": _Row(_symlink, follow=False),
    "truncate": _Row(_truncate),
    "utime": _Row(_utime, None),
    "chmod": _Row(_chmod),
    "chown": _Row(_chown, None),
}
