"""mmap.mmap: a shared mapping of a client's file that is being written.

The kernel tells nobody which bytes change, so the copy is compared with what the file was: when the mapping
is flushed or closed, when the process hands something to another, and when it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transparent_mp.worker.files.handles import Writing
    from transparent_mp.worker.files.state import Files


def _files() -> Files | None:
    # Late: what `state` imports may be what brings mmap in.
    from transparent_mp.worker.files.state import current

    return current()


def mapping(instead: Any) -> Any:
    """mmap.mmap, for files that are being written too."""

    class mmap(instead):  # type: ignore[misc]  # noqa: N801
        _handle: Writing | None = None

        def __new__(cls, fileno: int, length: int, *args: Any, **kw: Any) -> Any:
            files = _files()
            handle: Any = files.table.find(fileno) if files is not None and fileno >= 0 else None
            if handle is not None:
                handle.ensure_all()
            self = super().__new__(cls, fileno, length, *args, **kw)
            if files is not None and handle is not None and handle.writes and _writes(args, kw):
                self._handle = handle
                files.table.mapped(handle)
            return self

        def flush(self, *args: Any) -> Any:
            result = super().flush(*args)
            if self._handle is not None:
                self._handle.settle()
            return result

        def close(self) -> None:
            handle, files = self._handle, _files()
            if handle is not None:
                handle.sync()
            super().close()
            self._let_go(files, handle)

        def __exit__(self, *_exc: object) -> None:
            self.close()

        def __del__(self) -> None:
            if self._handle is not None:
                self._let_go(_files(), self._handle)

        def _let_go(self, files: Files | None, handle: Writing | None) -> None:
            self._handle = None
            if files is not None and handle is not None:
                files.table.unmapped(handle)

    mmap.__module__, mmap.__qualname__ = instead.__module__, instead.__qualname__
    return mmap


def _writes(args: tuple[Any, ...], kw: dict[str, Any]) -> bool:
    import mmap

    access = kw.get("access", args[2] if len(args) > 2 else mmap.ACCESS_DEFAULT)
    if access != mmap.ACCESS_DEFAULT:
        return bool(access == mmap.ACCESS_WRITE)
    flags = kw.get("flags", args[0] if args else mmap.MAP_SHARED)
    prot = kw.get("prot", args[1] if len(args) > 1 else mmap.PROT_WRITE | mmap.PROT_READ)
    return bool(flags & mmap.MAP_SHARED and prot & mmap.PROT_WRITE)
