"""pyarrow, which opens files by their paths, in C++: it is given a file system that is Python's.

What pyarrow itself calls local is then whatever `open` and `os` say, the client's files included, wherever
a path decides (parquet, datasets, and with them pandas.read_parquet). Its readers of one file (csv, json,
feather) get that file opened. A file system made of a URI by `FileSystem.from_uri` remains the worker's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from functools import partial
from typing import Any, Callable

from transparent_mp.worker.files.imports import route_of
from transparent_mp.worker.files.state import current


def local_file_system(instead: Any) -> Any:
    """pyarrow.fs.LocalFileSystem."""

    def made(*, use_mmap: bool = False) -> Any:
        native = instead(use_mmap=use_mmap)
        return native if current() is None else _of_python()

    return _like(instead, made, lambda one: isinstance(getattr(one, "handler", None), Handler))


def os_file(instead: Any) -> Any:
    """pyarrow.OSFile."""

    def made(path: Any, mode: str = "r", *args: Any, **kw: Any) -> Any:
        if route_of(path) is None:
            return instead(path, mode, *args, **kw)
        return _file(path, mode.replace("b", "") + "b", mode[:1].replace("a", "w"))

    return _like(instead, made, lambda _one: False)


def _like(instead: Any, made: Callable[..., Any], also: Callable[[Any], bool]) -> Any:
    """What stands for a class that cannot be derived from: `made` makes its instances."""

    class Kind(type):
        def __call__(cls, *args: Any, **kw: Any) -> Any:
            return made(*args, **kw)

        def __instancecheck__(cls, one: Any) -> bool:
            return isinstance(one, instead) or also(one)

        def __getattr__(cls, name: str) -> Any:
            return getattr(instead, name)

    return Kind(instead.__name__, (), {"__doc__": instead.__doc__, "__module__": instead.__module__})


def resolving(instead: Any) -> Any:
    """pyarrow.fs._resolve_filesystem_and_path: a path of no file yet is taken for a URI, whose file system
    is the native one."""

    def resolving(*args: Any, **kw: Any) -> Any:
        system, path = instead(*args, **kw)
        return _ours(system), path

    return resolving


def ensuring(instead: Any) -> Any:
    """pyarrow.fs._ensure_filesystem."""

    def ensuring(*args: Any, **kw: Any) -> Any:
        return _ours(instead(*args, **kw))

    return ensuring


def reading(instead: Any) -> Any:
    """A function whose first argument is a file to read."""

    def reading(source: Any, *args: Any, **kw: Any) -> Any:
        return instead(_opened(source), *args, **kw)

    return reading


def memory_map(instead: Any) -> Any:
    """pyarrow.memory_map: what is only read is mapped from its copy."""

    def memory_map(path: Any, mode: str = "r") -> Any:
        if mode not in ("r", "rb") or route_of(path) is None:
            return instead(path, mode)
        with open(path, "rb") as file:
            return instead(f"/proc/self/fd/{file.fileno()}", mode)

    return memory_map


def _opened(source: Any) -> Any:
    if route_of(source) is None:
        return source
    import pyarrow as pa

    file = _file(source, "rb", "r")
    # Of a path it would have known.
    with contextlib.suppress(ValueError, TypeError):
        return pa.CompressedInputStream(file, pa.Codec.detect(os.fsdecode(source)).name)
    return file


def _ours(system: Any) -> Any:
    from pyarrow import fs

    native = type(system).__name__ == "LocalFileSystem" and isinstance(system, fs.LocalFileSystem)
    return _of_python() if native and current() is not None else system


def _of_python() -> Any:
    from pyarrow import fs

    fs.FileSystemHandler.register(Handler)
    return fs.PyFileSystem(Handler())


class Handler:
    """What pyarrow asks of a file system in Python."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handler)

    def __hash__(self) -> int:
        return hash(Handler)

    def get_type_name(self) -> str:
        return "local"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[Any]:
        return [_info(path, partial(os.stat, path)) for path in paths]

    def get_file_info_selector(self, selector: Any) -> list[Any]:
        found: list[Any] = []
        try:
            self._list(selector.base_dir, selector.recursive, found)
        except FileNotFoundError:
            if not selector.allow_not_found:
                raise
        return found

    def _list(self, folder: str, recursive: bool, found: list[Any]) -> None:
        with os.scandir(folder) as entries:
            for entry in entries:
                found.append(_info(entry.path, entry.stat))
                if recursive and entry.is_dir():
                    self._list(entry.path, recursive, found)

    def create_dir(self, path: str, recursive: bool) -> None:
        if recursive:
            os.makedirs(path, exist_ok=True)
        elif not os.path.isdir(path):
            os.mkdir(path)

    def delete_dir(self, path: str) -> None:
        shutil.rmtree(path)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        try:
            names = os.listdir(path)
        except FileNotFoundError:
            if missing_dir_ok:
                return
            raise
        for each in (os.path.join(path, name) for name in names):
            if os.path.isdir(each) and not os.path.islink(each):
                shutil.rmtree(each)
            else:
                os.unlink(each)

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError("to remove all there is")

    def delete_file(self, path: str) -> None:
        os.unlink(path)

    def move(self, src: str, dest: str) -> None:
        os.replace(src, dest)

    def copy_file(self, src: str, dest: str) -> None:
        shutil.copyfile(src, dest)

    def open_input_stream(self, path: str) -> Any:
        return _file(path, "rb", "r")

    open_input_file = open_input_stream

    def open_output_stream(self, path: str, metadata: Any) -> Any:
        del metadata
        return _file(path, "wb", "w")

    def open_append_stream(self, path: str, metadata: Any) -> Any:
        del metadata
        return _file(path, "ab", "w")


def _file(path: Any, mode: str, kind: str) -> Any:
    import pyarrow as pa

    return pa.PythonFile(open(path, mode), mode=kind)


def _info(path: str, look: Callable[[], os.stat_result]) -> Any:
    from pyarrow.fs import FileInfo, FileType

    try:
        found = look()
    except (FileNotFoundError, NotADirectoryError):
        return FileInfo(path, FileType.NotFound)
    if stat.S_ISDIR(found.st_mode):
        return FileInfo(path, FileType.Directory, mtime_ns=found.st_mtime_ns)
    kind = FileType.File if stat.S_ISREG(found.st_mode) else FileType.Unknown
    return FileInfo(path, kind, size=found.st_size, mtime_ns=found.st_mtime_ns)
