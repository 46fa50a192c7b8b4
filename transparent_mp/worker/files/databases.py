"""C code that opens a file by its path: sqlite3 and ctypes work on a copy under a name of this machine.

Locks of sqlite do not reach across machines. A commit sends what has changed; one that finds the client's
file changed since it was copied raises the OperationalError of a locked database, and goes on doing so: to
connect again is to see what is there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import Any
from urllib.parse import quote, unquote

from transparent_mp.store.link import from_handler
from transparent_mp.worker.files.handles import Writing
from transparent_mp.worker.files.imports import route_of
from transparent_mp.worker.files.opening import fill, open_fd
from transparent_mp.worker.files.real import real_os
from transparent_mp.worker.files.state import Files

#: What sqlite leaves beside a database, without which it cannot be read as it is.
_BESIDE = ("-wal", "-journal")

#: Where two of sqlite3.connect's arguments stand, behind the database.
_FACTORY, _URI = 4, 6


class Copy:
    """A file of the client under a name of this machine, in a directory of its own."""

    def __init__(self, files: Files, there: str, named: Any, *, writes: bool) -> None:
        self._files = files
        self.folder = files.scratch_name()
        real_os.mkdir(self.folder, 0o700)
        self.path = os.path.join(self.folder, os.path.basename(there))
        self.fd = -1
        try:
            if writes:
                self.fd = open_fd(files, there, named, os.O_RDWR | os.O_CREAT, 0o644, at=self.path)
            else:
                self._read(files, there, named, self.path)
        except BaseException:
            self.close()
            raise

    def beside(self, files: Files, there: str, suffix: str) -> None:
        """Copy what lies beside it too, if it does."""
        with contextlib.suppress(FileNotFoundError):
            self._read(files, there + suffix, there + suffix, self.path + suffix)

    def close(self) -> None:
        """Raises what went wrong at the client."""
        try:
            if self.fd >= 0:
                self._files.close(self.fd)
        finally:
            for name in real_os.listdir(self.folder):
                real_os.unlink(os.path.join(self.folder, name))
            real_os.rmdir(self.folder)

    @staticmethod
    def _read(files: Files, there: str, named: Any, path: str) -> None:
        fd = open_fd(files, there, named, os.O_RDONLY)
        try:
            copy = real_os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fill(copy, fd, real_os.fstat(fd).st_size)
            finally:
                real_os.close(copy)
        finally:
            files.close(fd)


def load_library(instead: Any, name: Any, *args: Any) -> Any:
    """What dlopen would do, with `instead` the true one."""
    found = route_of(name) if name and b"/" in os.fsencode(name) else None
    if found is None:
        return instead(name, *args)
    copy = Copy(*found, name, writes=False)
    try:
        return instead(copy.path, *args)
    except OSError as error:
        raise OSError(str(error).replace(copy.path, os.fsdecode(name))) from None
    finally:
        copy.close()


def connect(instead: Any, database: Any, *args: Any, **kw: Any) -> Any:
    """What sqlite3.connect would do, with `instead` the true one."""
    named = kw.get("uri", args[_URI] if len(args) > _URI else False)
    path, query = _path_of(database, bool(named))
    found = route_of(path) if path else None
    if found is None:
        return instead(database, *args, **kw)
    import sqlite3

    if len(args) > _FACTORY:
        args = (*args[:_FACTORY], _of_client(args[_FACTORY]), *args[_FACTORY + 1 :])
    else:
        kw["factory"] = _of_client(kw.get("factory", sqlite3.Connection))
    try:
        copy = _copied(*found, database, writes="mode=ro" not in query and "immutable=1" not in query)
    except OSError as error:
        if from_handler(error):
            raise
        raise sqlite3.OperationalError("unable to open database file") from None
    local = f"file:{quote(copy.path)}?{query}" if path is not database else copy.path
    try:
        connection = instead(local, *args, **kw)
    except BaseException:
        copy.close()
        raise
    connection._copied(found[0], copy)
    return connection


def _path_of(database: Any, uri: bool) -> tuple[Any, str]:
    """The path a database is named by, and the query of its URI; '' for one in memory."""
    if database in (":memory:", b":memory:", "", b""):
        return "", ""
    if uri and isinstance(database, str) and database.startswith("file:"):
        path, _, query = database[len("file:") :].partition("?")
        if path.startswith("//"):
            path = "/" + path[2:].partition("/")[2]
        return ("" if "mode=memory" in query or path == ":memory:" else unquote(path)), query
    return database, ""


def _copied(files: Files, there: str, named: Any, *, writes: bool) -> Copy:
    try:
        copy = Copy(files, there, named, writes=writes)
    except PermissionError:
        copy = Copy(files, there, named, writes=False)
    for suffix in _BESIDE:
        copy.beside(files, there, suffix)
    return copy


def _of_client(factory: Any) -> Any:
    """The connection's class, sending what is committed."""
    import sqlite3

    class ClientConnection(factory):  # type: ignore[misc]
        _files: Files | None = None
        _copy: Copy | None = None

        def _copied(self, files: Files, copy: Copy) -> None:
            self._files, self._copy = files, copy
            handle = files.table.find(copy.fd) if copy.fd >= 0 else None
            self._handle = handle if isinstance(handle, Writing) else None

        def commit(self) -> None:
            super().commit()
            self._send()

        def __exit__(self, *exc: Any) -> Any:
            result = super().__exit__(*exc)
            self._send()
            return result

        def close(self) -> None:
            super().close()
            copy = self._copy
            if copy is not None:
                self._send()
                self._copy = None
                copy.close()

        def __del__(self) -> None:
            with contextlib.suppress(sqlite3.Error, OSError, AttributeError):
                self.close()

        def _send(self) -> None:
            handle, files = self._handle, self._files
            if handle is None or files is None or not handle.dirty():
                return
            if not handle.lock("flock", fcntl.LOCK_EX | fcntl.LOCK_NB):
                raise sqlite3.OperationalError("database is locked")
            try:
                if handle.changed_there():
                    raise sqlite3.OperationalError(
                        "database is locked: another process has changed it since this one connected"
                    )
                handle.settle()
            finally:
                handle.lock("flock", fcntl.LOCK_UN)

    ClientConnection.__name__ = ClientConnection.__qualname__ = factory.__name__
    return ClientConnection
