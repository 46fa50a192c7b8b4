"""The names of `os` and `io` that take a path or a descriptor, for a process with files of the client.

Each does at the client what it is named for when the path is the client's, and is this machine's own for
every other path. `ours` gives the function that takes an original's place, whatever name holds it: other
modules have copies. They are called like the built-ins they replace: they do not bind when they become a
class's attribute, and are found in the sets of `os` that say what a function supports.
"""

from __future__ import annotations

import errno
import os
import types
from typing import Any, Callable

from transparent_mp.originals import original
from transparent_mp.primitives import directory
from transparent_mp.worker.files.handles import Writing
from transparent_mp.worker.files.opening import open_fd, open_file
from transparent_mp.worker.files.paths import Paths
from transparent_mp.worker.files.real import real_os, real_path
from transparent_mp.worker.files.state import Files, current


class Function:
    """Takes the place of `instead`."""

    def __init__(self, name: str, instead: Any, call: Callable[..., Any]) -> None:
        self._instead = instead
        self._call = call
        self.__name__ = self.__qualname__ = name
        self.__doc__ = instead.__doc__
        self.__module__ = instead.__module__.replace("posixpath", "os.path").replace("posix", "os")
        self.__wrapped__ = instead

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<function {self.__module__}.{self.__name__} of transparent_mp>"

    def __reduce__(self) -> str:
        return self.__name__

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._instead

    def __hash__(self) -> int:
        return hash(self._instead)


def ours(instead: Any) -> Any:
    """The function for an original; the original itself if there is none."""
    if isinstance(instead, staticmethod):
        return staticmethod(ours(instead.__func__))
    try:
        return _FUNCTIONS.get(instead, instead)
    except TypeError:
        return instead


def defaults(instead: Any) -> Any:
    """A function whose defaults are copies of originals, with ours in their place."""
    if instead.__defaults__ is None:
        return instead
    same = types.FunctionType(
        instead.__code__, instead.__globals__, instead.__name__, tuple(map(ours, instead.__defaults__)),
        instead.__closure__,
    )  # fmt: skip
    same.__kwdefaults__, same.__qualname__ = instead.__kwdefaults__, instead.__qualname__
    return same


def _open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    files = current()
    there, here = files.route(path, dir_fd) if files is not None else (None, path)
    if files is None or there is None:
        fd: int = real_os.open(here, flags, mode, dir_fd=dir_fd)
        return fd
    return open_fd(files, there, os.fspath(path), flags, mode)


def _open_code(path: str) -> Any:
    return open_file(path, "rb")


def _close(fd: int) -> None:
    files = current()
    if files is not None and files.table.find(fd) is not None:
        files.close(fd)
    else:
        real_os.close(fd)


def _writing(fd: Any) -> Writing | None:
    files = current()
    if files is None or not len(files.table) or not isinstance(fd, int):
        return None
    handle = files.table.find(fd)
    return handle if isinstance(handle, Writing) else None


def _write(fd: int, data: Any) -> int:
    handle = _writing(fd)
    # Of descriptors that are not open for it the machine's own says so.
    return real_os.write(fd, data) if handle is None or handle.fd != fd else handle.write(data)


def _pwrite(fd: int, data: Any, offset: int) -> int:
    handle = _writing(fd)
    return real_os.pwrite(fd, data, offset) if handle is None else handle.pwrite(data, offset)


def _ftruncate(fd: int, length: int) -> None:
    handle = _writing(fd)
    if handle is None:
        real_os.ftruncate(fd, length)
    else:
        handle.truncate(length)


def _fsync(fd: Any) -> None:
    number = fd if isinstance(fd, int) else fd.fileno()
    handle = _writing(number)
    if handle is None:
        real_os.fsync(fd)
    else:
        handle.settle()


def _fstat(fd: int) -> os.stat_result:
    files = current()
    handle = files.table.find(fd) if files is not None and len(files.table) else None
    found: os.stat_result = real_os.fstat(fd) if handle is None else handle.stat()
    return found


def _dup(fd: int) -> int:
    files = current()
    copy: int = real_os.dup(fd)
    handle = files.table.find(fd) if files is not None else None
    if files is not None and handle is not None:
        files.table.add(copy, handle)
    return copy


def _dup2(fd: int, fd2: int, inheritable: bool = True) -> int:
    files = current()
    if files is not None:
        handle = files.table.find(fd)
        if fd != fd2:
            files.table.remove(fd2)
        real_os.dup2(fd, fd2, inheritable)
        if handle is not None:
            files.table.add(fd2, handle)
    else:
        real_os.dup2(fd, fd2, inheritable)
    return fd2


def _flock(fd: Any, operation: int) -> None:
    _lock("flock", fd, operation, original("fcntl", "flock"), operation)


def _lockf(fd: Any, cmd: int, len: int = 0, start: int = 0, whence: int = 0) -> None:
    instead = original("fcntl", "lockf")
    _lock("lockf", fd, cmd, instead, cmd, len, start, whence, length=len, start=start, whence=whence)


def _lock(name: str, fd: Any, how: int, instead: Any, *args: int, **fields: int) -> None:
    files = current()
    number = fd if isinstance(fd, int) else fd.fileno()
    handle = files.table.find(number) if files is not None else None
    if handle is None:
        instead(fd, *args)
    elif not handle.lock(name, how, **fields):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def _chdir(path: Any) -> None:
    files = current()
    if files is None:
        real_os.chdir(path)
        return
    if isinstance(path, int):
        handle = files.table.find(path)
        if handle is None:
            real_os.chdir(path)
            return
        path = handle.path
    there, here = files.route(path)
    if there is None:
        real_os.chdir(here)
    else:
        said = files.remote.call("enter", there, named=(os.fspath(path),))
        stand(files, said)


def stand(files: Files, said: str) -> None:
    """Let the process stand in a directory of the client."""
    real_os.chdir(files.empty())
    directory.stand_in_for(said)


def _umask(mask: int) -> int:
    before: int = real_os.umask(mask)
    files = current()
    if files is not None:
        files.umask = mask
    return before


def _two(name: str) -> Callable[..., None]:
    def two(
        src: Any, dst: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None, **kw: Any
    ) -> None:
        files = current()
        if files is None:
            getattr(real_os, name)(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, **kw)
            return
        (one, here), (other, there) = files.route(src, src_dir_fd), files.route(dst, dst_dir_fd)
        named = (os.fspath(src), os.fspath(dst))
        if one is None and other is None:
            getattr(real_os, name)(here, there, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, **kw)
        elif one is None or other is None:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), named[0], None, named[1])
        elif name == "link":
            files.remote.call("link", one, other, named=named, follow=kw.get("follow_symlinks", True))
        else:
            files.remote.call("rename", one, other, named=named)

    return two


def _symlink(src: Any, dst: Any, target_is_directory: bool = False, *, dir_fd: int | None = None) -> None:
    files = current()
    there, here = files.route(dst, dir_fd) if files is not None else (None, dst)
    if files is None or there is None:
        real_os.symlink(src, here, target_is_directory, dir_fd=dir_fd)
    else:
        says = os.fspath(src)
        text = os.fsdecode(says)
        files.remote.call("symlink", there, named=(says, os.fspath(dst)), says=text)


def _of_path(name: str) -> Callable[..., Any]:
    """The function `name` of `os`, whose first argument is a path or, for some, a descriptor."""

    def of_path(path: Any = None, *args: Any, **kw: Any) -> Any:
        files = current()
        if path is None and name in _LISTING:
            path = os.curdir
        if files is None or path is None:
            return getattr(real_os, name)(path, *args, **kw)
        if isinstance(path, int):
            handle = files.table.find(path)
            if handle is None:
                return getattr(real_os, name)(path, *args, **kw)
            if name == "stat":
                return handle.stat()
            if name == "truncate":
                return _ftruncate(path, *args)
            return getattr(Paths(files), name)(handle.path, path, *args, **kw)
        dir_fd = kw.get("dir_fd")
        there, here = files.route(path, dir_fd)
        if there is None and name in _ABOVE and dir_fd is None:
            there = _above(files, here)
        if there is None:
            return getattr(real_os, name)(here, *args, **kw)
        kw.pop("dir_fd", None)
        return getattr(Paths(files), name)(there, os.fspath(path), *args, **kw)

    return of_path


#: Whose path may be left out.
_LISTING = ("listdir", "scandir")

#: What programs ask of every part of a path.
_ABOVE = ("stat", "lstat", "access", "readlink")


def _above(files: Files, path: Any) -> str | None:
    """The path of a directory that holds a root and is not on this machine."""
    text = os.fsdecode(path)
    if not text.startswith("/") or not files.places.is_above(text):
        return None
    try:
        real_os.lstat(text)
    except FileNotFoundError:
        return text
    return None


def _realpath(filename: Any, **kw: Any) -> Any:
    files = current()
    there = files.route(filename)[0] if files is not None else None
    if files is None or there is None:
        text = os.fsdecode(filename)
        if files is not None and text[:1] == "/" and files.places.is_own(text):
            # Of the parts that lie above it, a root of the client may hold each.
            return real_path().realpath(filename, **kw)
        return original("posixpath", "realpath")(filename, **kw)
    found = files.remote.call("realpath", there, named=(os.fspath(filename),), **kw)
    return os.fsencode(found) if isinstance(os.fspath(filename), bytes) else found


_CALLS: dict[str, Callable[..., Any]] = {
    "open": _open, "close": _close, "write": _write, "pwrite": _pwrite, "ftruncate": _ftruncate,
    "fsync": _fsync, "fdatasync": _fsync, "fstat": _fstat, "dup": _dup, "dup2": _dup2, "chdir": _chdir,
    "fchdir": _chdir, "umask": _umask, "rename": _two("rename"), "replace": _two("replace"),
    "link": _two("link"), "symlink": _symlink, "getcwd": directory.getcwd, "getcwdb": directory.getcwdb,
    **{name: _of_path(name) for name in (
        "stat", "lstat", "access", "listdir", "scandir", "mkdir", "rmdir", "unlink", "remove", "readlink",
        "truncate", "utime", "chmod", "chown", "lchown", "fchmod", "statvfs", "fstatvfs", "listxattr",
        "getxattr", "setxattr", "removexattr", "mkfifo", "mknod",
    )},
}  # fmt: skip

_FUNCTIONS: dict[Any, Function] = {}


def _make() -> None:
    for name, call in _CALLS.items():
        # Not every platform has all of them.
        if hasattr(os, name):
            instead = original("os", name)
            _FUNCTIONS[instead] = Function(name, instead, call)
    for module, name, call in (
        ("io", "open", open_file), ("io", "open_code", _open_code), ("posixpath", "realpath", _realpath),
        ("fcntl", "flock", _flock), ("fcntl", "lockf", _lockf),
    ):  # fmt: skip
        instead = original(module, name)
        _FUNCTIONS[instead] = Function(name, instead, call)


_make()
