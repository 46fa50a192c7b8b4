"""The client's file server: what processes on workers do with paths of the client is done here.

Requests name an operation (`op`) and its paths; a path outside the roots is refused (`roots`). An answer
is {"ok": value} or {"errno", "text", "path"}: the very error that the operating system gave here.

    open      path, flags, mode, h, have   -> stat, version, kept; body: a small file's content
    read      h, at, count, version        -> same: is it still that version; body
    write     h, at (-1: append), + data   no answer; an error is kept for the next answer about h
    merge     h, at, size, + data, mask    no answer; the bytes of data that the mask covers
    cut       h, size                      no answer
    close     h                            -> stat
    flock     h, how, wait                 -> whether it has the lock, or once it has
    lockf     h, how, wait, length, start, whence   -> the same
    call      name, paths, and its arguments
    gone      pid                          no answer; a process has ended: what it has open is closed
    settle                                 -> nothing: what was asked before has been done

Operations are done one after another, in the order in which they came, so what a process wrote is
there for whatever it asks next. An open file is a descriptor here, named by its opener (h): appends,
locks by O_EXCL, and files that are renamed or removed while open are the kernel's affair. Handles of
processes that are no more are closed; when there are many, those not used for long are, and opened again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import time
import zlib
from collections import OrderedDict
from functools import partial
from typing import Any, Callable

from transparent_mp.ship import calls
from transparent_mp.ship.roots import Place, Roots
from transparent_mp.store.seal import Buffer
from transparent_mp.store.session import Session

Answer = tuple[dict[str, Any], bytes]
Later = Callable[[], Answer]

#: Files up to this size come with the answer to `open`. Larger: fewer round trips for files of middling
#: size, more bytes for who needs only their beginning.
INLINE = 1 << 20

#: Descriptors kept at once. The program's own limit is 1024 as a rule.
DESCRIPTORS = 256

#: A file changed within this many nanoseconds could change again without a new time stamp: some 20 ticks
#: of the kernel, or two seconds where stamps have no fraction.
FRESH, FRESH_WHOLE = 200_000_000, 2_000_000_000


#: What requests to the file server are called.
TOPIC = "file"


def inbox_of(session: Session) -> str:
    """Whose inbox they go to: one of their own, so that large files do not hold up events."""
    return session.client + ".files"


class _Open:
    """One open file; `fd` is -1 while it is set aside."""

    __slots__ = ("error", "fd", "flags", "inode", "locked", "path", "pid")

    def __init__(self, fd: int, path: str, flags: int, pid: int) -> None:
        self.fd = fd
        self.path = path
        self.flags = flags & ~(os.O_CREAT | os.O_EXCL | os.O_TRUNC)
        self.pid = pid
        self.error: OSError | None = None
        #: Closed, it would lose its lock.
        self.locked = False
        found = os.fstat(fd)
        self.inode = (found.st_dev, found.st_ino)


class FileServer:
    """Serves the files under `roots`. Not thread-safe: one inbox asks it."""

    def __init__(self, roots: Roots) -> None:
        self.roots = roots
        self._open: OrderedDict[str, _Open] = OrderedDict()
        #: Whether it was ever asked.
        self.used = False
        self._ops: dict[str, Callable[[dict[str, Any], Buffer], Answer | Later]] = {
            "open": self._on_open,
            "read": self._on_read,
            "write": self._on_write,
            "merge": self._on_merge,
            "cut": self._on_cut,
            "close": self._on_close,
            "flock": self._on_lock,
            "lockf": self._on_lock,
            "gone": self._on_gone,
            "settle": lambda *_: ({}, b""),
            "call": lambda request, _: ({"ok": calls.call(self.roots, request)}, b""),
        }

    def answer(self, request: dict[str, Any], data: Buffer = b"") -> Answer | Later:
        """Do what a request wants; what has to wait for it is returned, to be called in a thread."""
        self.used = True
        try:
            return self._ops[request["op"]](request, data)
        except OSError as error:
            return {"errno": error.errno or errno.EIO, "text": error.strerror or str(error)}, b""
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            return {"errno": errno.EINVAL, "text": f"{type(error).__name__}: {error}"}, b""

    def pids(self) -> set[int]:
        """Processes that have files open."""
        return {each.pid for each in self._open.values()}

    def forget(self, pids: set[int]) -> None:
        """These processes are no more."""
        for h in [h for h, each in self._open.items() if each.pid in pids]:
            self._drop(h)

    def close(self) -> None:
        for h in list(self._open):
            self._drop(h)

    def _on_open(self, request: dict[str, Any], _data: Buffer) -> Answer:
        path, flags = request["path"], request["flags"] | os.O_CLOEXEC | os.O_NOCTTY
        with self.roots.walk(path, follow=not flags & (os.O_NOFOLLOW | os.O_EXCL)) as place:
            fd = _open(place, flags, request["mode"])
        try:
            found = os.fstat(fd)
            packed, state = calls.packed(found), version(found)
            answer: dict[str, Any] = {"stat": packed, "version": state, "kept": False}
            if stat.S_ISDIR(found.st_mode):
                return answer, b""
            body = b""
            reads = flags & os.O_ACCMODE != os.O_WRONLY
            if reads and request["have"] != state and found.st_size <= INLINE:
                body = _whole(fd, found.st_size)
                if len(body) != found.st_size:
                    # It is being written.
                    answer["version"] = unlike(state)
                    packed[6] = len(body)
            whole = request["whole"] and request["have"] == state
            missing = reads and found.st_size > INLINE and not whole
            if flags & os.O_ACCMODE != os.O_RDONLY or missing or request.get("keep"):
                answer["kept"] = True
                self._keep(request["h"], _Open(fd, path, flags, request["pid"]))
                fd = -1
            return answer, body
        finally:
            if fd >= 0:
                os.close(fd)

    def _on_read(self, request: dict[str, Any], _data: Buffer) -> Answer:
        opened = self._handle(request)
        body = os.pread(opened.fd, request["count"], request["at"])
        return {"same": version(os.fstat(opened.fd)) == request["version"]}, body

    def _on_write(self, request: dict[str, Any], data: Buffer) -> Answer:
        return self._change(request, lambda fd: _write(fd, data, request["at"]))

    def _on_merge(self, request: dict[str, Any], data: Buffer) -> Answer:
        at, size = request["at"], request["size"]
        return self._change(request, lambda fd: _merge(fd, at, data[:size], zlib.decompress(data[size:])))

    def _on_cut(self, request: dict[str, Any], _data: Buffer) -> Answer:
        return self._change(request, lambda fd: os.ftruncate(fd, request["size"]))

    def _change(self, request: dict[str, Any], do: Callable[[int], None]) -> Answer:
        opened = self._handle(request)
        # After an error nothing more is done, as for who would have seen it.
        if opened.error is None:
            try:
                do(opened.fd)
            except OSError as error:
                opened.error = error
        return {}, b""

    def _on_close(self, request: dict[str, Any], _data: Buffer) -> Answer:
        opened = self._handle(request)
        error, opened.error = opened.error, None
        found = os.fstat(opened.fd)
        if not request.get("stay"):
            self._drop(request["h"])
        if error is not None:
            raise error
        return {"stat": calls.packed(found)}, b""

    def _on_lock(self, request: dict[str, Any], _data: Buffer) -> Answer | Later:
        opened, how = self._handle(request), request["how"]
        lock = partial(_flock if request["op"] == "flock" else _lockf, request)
        opened.locked = True
        try:
            lock(opened.fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if not request["wait"]:
                return {"has": False}, b""
        else:
            return {"has": True}, b""
        # The same open file, whatever becomes of the descriptor meanwhile; closed, it keeps no lock alone.
        fd = os.dup(opened.fd)

        def wait() -> Answer:
            try:
                lock(fd, how)
                return {"has": True}, b""
            except OSError as error:
                return {"errno": error.errno, "text": error.strerror}, b""
            finally:
                os.close(fd)

        return wait

    def _on_gone(self, request: dict[str, Any], _data: Buffer) -> Answer:
        self.forget({request["pid"]})
        return {}, b""

    def _keep(self, h: str, opened: _Open) -> None:
        self._open[h] = opened
        closable = [each for each in self._open.values() if each.fd >= 0 and not each.locked]
        if len(closable) > DESCRIPTORS:
            os.close(closable[0].fd)
            closable[0].fd = -1

    def _handle(self, request: dict[str, Any]) -> _Open:
        h = request["h"]
        opened = self._open.get(h)
        if opened is None:
            raise OSError(errno.EBADF, "Bad file descriptor: the client has closed it")
        self._open.move_to_end(h)
        if opened.fd < 0:
            with self.roots.walk(opened.path) as place:
                fd = place.open(opened.flags)
            found = os.fstat(fd)
            if (found.st_dev, found.st_ino) != opened.inode:
                os.close(fd)
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), opened.path)
            opened.fd = fd
            self._keep(h, opened)
        return opened

    def _drop(self, h: str) -> None:
        opened = self._open.pop(h, None)
        if opened is not None and opened.fd >= 0:
            os.close(opened.fd)


def _flock(_request: dict[str, Any], fd: int, how: int) -> None:
    fcntl.flock(fd, how)


def _lockf(request: dict[str, Any], fd: int, how: int) -> None:
    # The lock of an open file, since all of them are this one process's.
    kinds = {fcntl.LOCK_SH: fcntl.F_RDLCK, fcntl.LOCK_EX: fcntl.F_WRLCK, fcntl.LOCK_UN: fcntl.F_UNLCK}
    fields = (kinds[how & ~fcntl.LOCK_NB], request["whence"], request["start"], request["length"], 0)
    command = fcntl.F_OFD_SETLK if how & fcntl.LOCK_NB else fcntl.F_OFD_SETLKW
    fcntl.fcntl(fd, command, struct.pack("hhqqi4x", *fields))


def version(found: os.stat_result) -> str:
    """Equal for two states of a file only if it was not written between them."""
    said = f"{found.st_dev}-{found.st_ino}-{found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}"
    since = time.time_ns() - found.st_ctime_ns
    fresh = FRESH if found.st_ctime_ns % 1_000_000_000 else FRESH_WHOLE
    return unlike(said) if since < fresh else said


def unlike(said: str) -> str:
    """A version that no other is equal to."""
    return f"{said}-{time.monotonic_ns()}"


def _open(place: Place, flags: int, mode: int) -> int:
    if not flags & os.O_CREAT:
        return place.open(flags)
    # The mode has passed the process's umask already; this process's own is no part of it.
    try:
        fd = place.open(flags | os.O_EXCL, mode)
    except FileExistsError:
        if flags & os.O_EXCL:
            raise
        return place.open(flags, mode)
    if stat.S_IMODE(os.fstat(fd).st_mode) != mode:
        os.fchmod(fd, mode)
    return fd


def _whole(fd: int, size: int) -> bytes:
    pieces: list[bytes] = []
    at = 0
    # One byte more than there should be, to see whether it grows.
    while at <= size:
        piece = os.pread(fd, size + 1 - at, at)
        if not piece:
            break
        pieces.append(piece)
        at += len(piece)
    return b"".join(pieces)


def _write(fd: int, data: Buffer, at: int) -> None:
    view = memoryview(data)
    while view:
        done = os.write(fd, view) if at < 0 else os.pwrite(fd, view, at)
        view = view[done:]
        at += done if at >= 0 else 0


def _merge(fd: int, at: int, data: Buffer, mask: bytes) -> None:
    there = os.pread(fd, len(data), at).ljust(len(data), b"\0")
    mine, theirs, covers = (int.from_bytes(each, "little") for each in (data, there, mask))
    _write(fd, (theirs ^ ((theirs ^ mine) & covers)).to_bytes(len(data), "little"), at)
