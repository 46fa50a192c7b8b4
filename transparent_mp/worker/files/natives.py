"""Names of modules in C, which open files by their paths: what is put in their place.

The work is done by `databases`, which is imported when it is first to be done: its own imports may
be what brings these modules in.
"""

from __future__ import annotations

from typing import Any


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
