"""What the functions of `os` on a path do for a path of the client: one method for each, by its name.

`there` is the client's path, `named` what the program has said, the rest what `os` takes.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from typing import Any

from transparent_mp.worker.files.entries import ClientEntry, Scan, unpacked
from transparent_mp.worker.files.state import Files

#: Whether the error of os.utime says which file it was.
_UTIME_NAMES = sys.version_info >= (3, 13)


class Paths:
    """The functions, for one process's files."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def stat(self, there: str, named: Any, *, follow_symlinks: bool = True) -> os.stat_result:
        return unpacked(self._files.remote.call("stat", there, named=(named,), follow=follow_symlinks))

    def lstat(self, there: str, named: Any) -> os.stat_result:
        return self.stat(there, named, follow_symlinks=False)

    def access(
        self,
        there: str,
        named: Any,
        mode: int,
        *,
        effective_ids: bool = False,
        follow_symlinks: bool = True,
    ) -> bool:
        try:
            return bool(
                self._files.remote.call(
                    "access",
                    there,
                    named=(named,),
                    follow=follow_symlinks,
                    mode=mode,
                    effective_ids=effective_ids,
                )
            )
        except PermissionError:
            # What is not served cannot be accessed.
            return False

    def listdir(self, there: str, named: Any) -> list[Any]:
        names = [name for name, _ in self._files.remote.call("scan", there, named=(named,))]
        return list(map(os.fsencode, names)) if isinstance(named, bytes) else names

    def scandir(self, there: str, named: Any) -> Scan:
        found = self._files.remote.call("scan", there, named=(named,))
        folder: Any = "" if isinstance(named, int) else named

        def stat_of(path: Any) -> os.stat_result:
            full = os.path.join(there, os.path.basename(os.fsdecode(path)))
            return self.stat(full, path)

        def entries() -> Iterator[ClientEntry]:
            for name, values in found:
                said: Any = os.fsencode(name) if isinstance(named, bytes) else name
                path: Any = os.path.join(folder, said) if folder else said
                yield ClientEntry(said, path, values, stat_of)

        return Scan(entries())

    def mkdir(self, there: str, named: Any, mode: int = 0o777) -> None:
        self._files.remote.call("mkdir", there, named=(named,), mode=mode & ~self._files.umask)

    def rmdir(self, there: str, named: Any) -> None:
        self._files.remote.call("rmdir", there, named=(named,))

    def unlink(self, there: str, named: Any) -> None:
        self._files.remote.call("unlink", there, named=(named,))

    remove = unlink

    def readlink(self, there: str, named: Any) -> Any:
        says = self._files.remote.call("readlink", there, named=(named,))
        return os.fsencode(says) if isinstance(named, bytes) else says

    def truncate(self, there: str, named: Any, length: int) -> None:
        self._files.remote.call("truncate", there, named=(named,), length=length)

    def utime(
        self, there: str, named: Any, times: Any = None, *, ns: Any = None, follow_symlinks: bool = True
    ) -> None:
        if times is not None and ns is not None:
            raise ValueError("utime: you may specify either 'times' or 'ns' but not both")
        if times is not None:
            ns = [_nanoseconds(each) for each in times]
        self._files.remote.call(
            "utime",
            there,
            named=(named if _UTIME_NAMES else None,),
            follow=follow_symlinks,
            ns=ns and list(ns),
        )

    def chmod(self, there: str, named: Any, mode: int, *, follow_symlinks: bool = True) -> None:
        if not follow_symlinks:
            raise NotImplementedError("chmod: follow_symlinks unavailable on this platform")
        self._files.remote.call("chmod", there, named=(named,), mode=mode)

    fchmod = chmod

    def chown(self, there: str, named: Any, uid: int, gid: int, *, follow_symlinks: bool = True) -> None:
        self._files.remote.call("chown", there, named=(named,), follow=follow_symlinks, uid=uid, gid=gid)

    def lchown(self, there: str, named: Any, uid: int, gid: int) -> None:
        self.chown(there, named, uid, gid, follow_symlinks=False)

    def statvfs(self, there: str, named: Any) -> os.statvfs_result:
        return os.statvfs_result(self._files.remote.call("statvfs", there, named=(named,)))

    fstatvfs = statvfs

    def listxattr(self, there: str, named: Any, *, follow_symlinks: bool = True) -> list[str]:
        # They are not served: to who copies them there are none.
        self.stat(there, named, follow_symlinks=follow_symlinks)
        return []

    def getxattr(self, _there: str, named: Any, *_args: Any, **_kw: Any) -> bytes:
        raise _no_attributes(named)

    def setxattr(self, _there: str, named: Any, *_args: Any, **_kw: Any) -> None:
        raise _no_attributes(named)

    def removexattr(self, _there: str, named: Any, *_args: Any, **_kw: Any) -> None:
        raise _no_attributes(named)

    def mkfifo(self, _there: str, named: Any, *_args: Any, **_kw: Any) -> None:
        # It would lead nowhere from another machine.
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), named)

    mknod = mkfifo


def _nanoseconds(seconds: float) -> int:
    # In two steps, since a float has not the digits for both.
    whole = int(seconds // 1)
    return whole * 10**9 + int((seconds - whole) * 1e9)


def _no_attributes(named: Any) -> OSError:
    return OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP), named)
