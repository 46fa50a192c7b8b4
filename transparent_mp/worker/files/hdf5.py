"""h5py, which opens files by their paths, in C: it is given an open file, as it can be.

What is read of a large file comes in parts. Locks that HDF5 takes on a file are not.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from transparent_mp.worker.files.imports import route_of

#: Drivers by which a file is read that lies on a file system.
_DRIVERS = (None, "sec2", "stdio")

_MODES = {"r": ("rb",), "r+": ("r+b",), "w": ("w+b",), "w-": ("x+b",), "x": ("x+b",), "a": ("r+b", "x+b")}


def file_init(instead: Any) -> Any:
    """h5py.File.__init__."""

    def init(self: Any, name: Any, mode: Any = "r", driver: Any = None, *args: Any, **kw: Any) -> None:
        if driver in _DRIVERS and mode in _MODES and route_of(name) is not None:
            instead(self, _Lent(name, mode), mode, None, *args, **kw)
        else:
            instead(self, name, mode, driver, *args, **kw)

    return init


class _Lent:
    """A file that is closed when HDF5 lets go of it, and is called by its path."""

    _file: Any = None

    def __init__(self, path: Any, mode: str) -> None:
        self._path = os.fsdecode(path)
        *tried, last = _MODES[mode]
        for each in tried:
            with contextlib.suppress(FileNotFoundError):
                self._file = open(path, each)  # noqa: SIM115  as long as HDF5 has it
                return
        self._file = open(path, last)  # noqa: SIM115

    def __repr__(self) -> str:
        return self._path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()
