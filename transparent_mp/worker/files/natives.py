"""Names of modules in C, which open files by their paths: what is put in their place.

The work is done by `databases` and `state`, which are imported when it is first to be done: their own imports
may be what brings these modules in.
"""

from __future__ import annotations

from typing import Any, Callable


def temporary_directory(instead: Callable[[], str]) -> Any:
    """multiprocessing's get_temp_dir: a socket is made on this machine."""

    def get_temp_dir() -> str:
        from transparent_mp.worker.files.state import current

        files = current()
        return instead() if files is None else files.sockets()

    return get_temp_dir


def dlopen(instead: Any) -> Any:
    """ctypes' own, which loads a library of the client from a copy."""

    def dlopen(name: Any, *args: Any) -> Any:
        from transparent_mp.worker.files import databases

        return databases.load_library(instead, name, *args)

    return dlopen


def connect(instead: Any) -> Any:
    """sqlite3.connect, for a database of the client."""

    def connect(database: Any, *args: Any, **kw: Any) -> Any:
        from transparent_mp.worker.files import databases

        return databases.connect(instead, database, *args, **kw)

    return connect
