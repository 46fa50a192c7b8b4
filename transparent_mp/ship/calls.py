"""Operations on paths that need no open file, done at the client: the table of what a worker may call.

Each row says which of its paths must lie in a root, and whether a symlink at their end is followed. What
a new symlink says is no path of ours: who follows it is checked then.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import Any, Callable, NamedTuple

from transparent_mp.ship.roots import Roots


class _Row(NamedTuple):
    do: Callable[..., Any]
    #: Follows a symlink at the end of its paths; None: `follow` of the request says.
    follow: bool | None = True
    #: What lies above a root may be asked about.
    above: bool = False


def call(roots: Roots, request: dict[str, Any]) -> Any:
    """Do what a request names."""
    row = _TABLE[request["name"]]
    follow = request["follow"] if row.follow is None else row.follow
    for path in request["paths"]:
        if row.do in _REGULAR:
            roots.check_regular(path, follow=follow)
        else:
            roots.check(path, follow=follow, above=row.above)
    with_ = dict(request["with"])
    if row.follow is None:
        with_["follow_symlinks"] = follow
    return row.do(*request["paths"], **with_)


def packed(found: os.stat_result) -> list[int]:
    """A stat result as plain numbers; `worker.files.entries.unpacked` makes it one again."""
    return [*found[:7], found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns,
            found.st_blksize, found.st_blocks, found.st_rdev]  # fmt: skip


def _stat(path: str, follow_symlinks: bool) -> list[int]:
    return packed(os.stat(path, follow_symlinks=follow_symlinks))


def _access(path: str, mode: int, effective_ids: bool, follow_symlinks: bool) -> bool:
    return os.access(path, mode, effective_ids=effective_ids, follow_symlinks=follow_symlinks)


def _scan(path: str) -> list[Any]:
    """Name and lstat of each entry; what vanishes meanwhile is left out."""
    found = []
    with os.scandir(path) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                found.append([entry.name, packed(entry.stat(follow_symlinks=False))])
    return found


def _mkdir(path: str, mode: int) -> None:
    os.mkdir(path, mode)
    if stat.S_IMODE(os.lstat(path).st_mode) & 0o777 != mode & 0o777:
        os.chmod(path, mode)


def _enter(path: str) -> str:
    """The directory's own name, if a process may stand there."""
    if not stat.S_ISDIR(os.stat(path).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    if not os.access(path, os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return os.path.realpath(path)


def _utime(path: str, ns: list[int] | None, follow_symlinks: bool) -> None:
    if ns is None:
        os.utime(path, follow_symlinks=follow_symlinks)
    else:
        os.utime(path, ns=(ns[0], ns[1]), follow_symlinks=follow_symlinks)


def _chown(path: str, uid: int, gid: int, follow_symlinks: bool) -> None:
    os.chown(path, uid, gid, follow_symlinks=follow_symlinks)


def _link(source: str, target: str, follow_symlinks: bool) -> None:
    os.link(source, target, follow_symlinks=follow_symlinks)


def _symlink(path: str, says: str) -> None:
    os.symlink(says, path)


_REGULAR = (os.truncate,)

_TABLE: dict[str, _Row] = {
    "stat": _Row(_stat, None, above=True),
    "access": _Row(_access, None, above=True),
    "readlink": _Row(os.readlink, follow=False, above=True),
    "realpath": _Row(os.path.realpath, follow=False, above=True),
    "scan": _Row(_scan),
    "enter": _Row(_enter),
    "statvfs": _Row(lambda path: list(os.statvfs(path))),
    "mkdir": _Row(_mkdir, follow=False),
    "rmdir": _Row(os.rmdir, follow=False),
    "unlink": _Row(os.unlink, follow=False),
    "rename": _Row(os.rename, follow=False),
    "link": _Row(_link, None),
    "symlink": _Row(_symlink, follow=False),
    "truncate": _Row(os.truncate),
    "utime": _Row(_utime, None),
    "chmod": _Row(os.chmod),
    "chown": _Row(_chown, None),
}
