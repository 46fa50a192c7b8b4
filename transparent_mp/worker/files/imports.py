"""The import system, when it is told the path of a client's file: compileall, plug-ins, bytecode.

What it finds on sys.path by itself is this machine's, or comes from the client's modules.
"""

from __future__ import annotations

import contextlib
import os
import types
from typing import Any

from transparent_mp.originals import original
from transparent_mp.worker.files.opening import open_file
from transparent_mp.worker.files.paths import Paths
from transparent_mp.worker.files.state import Files, current


def route_of(path: Any) -> tuple[Files, str] | None:
    """This process's files and the client's path, if it is one."""
    files = current()
    if files is None or not isinstance(path, (str, bytes, os.PathLike)):
        return None
    there = files.route(path)[0]
    return None if there is None else (files, there)


def pristine(instead: Any) -> Any:
    """What importlib knows as `_os`, without our replacements."""
    return types.SimpleNamespace(**{name: original("posix", name) for name in vars(instead)})


def get_data(instead: Any) -> Any:
    """FileLoader.get_data."""

    def get_data(self: Any, path: Any) -> bytes:
        if route_of(path) is None:
            return bytes(instead(self, path))
        with open_file(path, "rb") as file:
            return file.read()  # type: ignore[no-any-return]

    return get_data


def path_stats(instead: Any) -> Any:
    """SourceFileLoader.path_stats."""

    def path_stats(self: Any, path: Any) -> dict[str, Any]:
        found = route_of(path)
        if found is None:
            return instead(self, path)  # type: ignore[no-any-return]
        result = Paths(found[0]).stat(found[1], path)
        return {"mtime": result.st_mtime, "size": result.st_size}

    return path_stats


def set_data(instead: Any) -> Any:
    """SourceFileLoader.set_data: a module's bytecode, which may as well not be kept."""

    def set_data(self: Any, path: Any, data: bytes, *, _mode: int = 0o666) -> None:
        if route_of(path) is None:
            instead(self, path, data, _mode=_mode)
            return
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            _replace(path, data, _mode)

    return set_data


def write_atomic(instead: Any) -> Any:
    """importlib's _write_atomic."""

    def write_atomic(path: Any, data: bytes, mode: int = 0o666) -> None:
        if route_of(path) is None:
            instead(path, data, mode)
        else:
            _replace(path, data, mode)

    return write_atomic


def _replace(path: Any, data: bytes, mode: int) -> None:
    partial = f"{path}.{os.urandom(4).hex()}"
    fd = os.open(partial, os.O_EXCL | os.O_CREAT | os.O_WRONLY, mode & 0o666)
    try:
        with open_file(fd, "wb") as file:
            file.write(data)
        os.replace(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def calc_mode(instead: Any) -> Any:
    """importlib's _calc_mode: rights for a bytecode file."""

    def calc_mode(path: Any) -> int:
        if route_of(path) is None:
            return instead(path)  # type: ignore[no-any-return]
        try:
            mode = os.stat(path).st_mode
        except OSError:
            mode = 0o666
        return mode | 0o200

    return calc_mode
