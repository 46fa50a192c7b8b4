"""io.FileIO, which programs make by themselves and put their own buffers over (luigi's targets do).

What it makes of a path of the client's, or of such a file's descriptor, is what `open` makes unbuffered. A
class derived from it keeps the interpreter's own way, and finds the worker's files.
"""

from __future__ import annotations

from typing import Any

from transparent_mp.worker.files.opening import open_file
from transparent_mp.worker.files.state import current


def file_io(instead: Any) -> Any:
    """io.FileIO."""

    class Kind(type(instead)):  # type: ignore[misc]
        def __call__(cls, *args: Any, **kw: Any) -> Any:
            if cls is not FileIO:
                return super().__call__(*args, **kw)
            return instead(*args, **kw) if current() is None else _opened(*args, **kw)

        def __instancecheck__(cls, one: Any) -> bool:
            return isinstance(one, instead) if cls is FileIO else super().__instancecheck__(one)

        def __subclasscheck__(cls, one: Any) -> bool:
            return issubclass(one, instead) if cls is FileIO else super().__subclasscheck__(one)

    def _opened(file: Any, mode: str = "r", closefd: bool = True, opener: Any = None) -> Any:
        # What open would refuse in other words.
        if not isinstance(mode, str) or "t" in mode:
            return instead(file, mode, closefd, opener)
        return open_file(file, mode.replace("b", "") + "b", 0, closefd=closefd, opener=opener)

    space = {"__module__": instead.__module__, "__doc__": instead.__doc__}
    FileIO = Kind(instead.__name__, (instead,), space)  # noqa: N806 - it is a class
    return FileIO
