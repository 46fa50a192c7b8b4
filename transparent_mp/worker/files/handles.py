"""Open files of the client: each is a descriptor of a copy on this machine, and an open file there.

    Reading    of a copy that all processes of the worker share; what is missing of it is fetched when read
    Writing    of a copy of its own, that no name leads to; what is written goes to the client as well
    Directory  an empty directory that stands for the client's

A writer's copy carries the time stamp `MARK` whenever the client has all that is in it: C code that writes
to the descriptor, or a mapping that is flushed, changes the stamp, and is found by it. What was written so
is compared with what the file began with, so that processes that write different parts do not undo each
other; a file that began empty is sent as a whole.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from typing import Any, Union

from transparent_mp.store.seal import Buffer
from transparent_mp.store.session import new_id
from transparent_mp.worker.files.copies import Copies, Parts
from transparent_mp.worker.files.entries import unpacked
from transparent_mp.worker.files.real import real_os
from transparent_mp.worker.files.remote import PIECE, Remote

#: Nanoseconds since 1970 that no file is written at.
MARK = 1_000_000_007

#: Bytes that are compared at once.
BLOCK = 64 << 10

_CHANGED = b"\0" + b"\xff" * 255


class Reading:
    """`h` is '' when the client keeps nothing open for it."""

    writes = False

    def __init__(
        self, remote: Remote, fd: int, path: str, found: list[int], parts: Parts | None, h: str
    ) -> None:
        self.fd = fd
        self.path = path
        self._remote = remote
        self._found = found
        self._parts = parts
        self._h = h
        # Of the open file that has a lock; the other is closed as soon as all of it is here.
        self._lock_h = ""

    @property
    def parts(self) -> Parts | None:
        """What may be missing of it."""
        return self._parts

    def ensure_all(self) -> None:
        """Have all of it here: someone will read it without asking."""
        if self._parts is not None:
            self._parts.ensure(0, self._found[6])
            self._drop()

    def stat(self) -> os.stat_result:
        return unpacked(self._found)

    def lock(self, op: str, how: int, **fields: Any) -> bool:
        """flock or lockf of the file at the client: whether it has the lock."""
        if not self._lock_h:
            h = new_id()
            asked = {
                "path": self.path,
                "flags": os.O_RDONLY,
                "mode": 0,
                "have": "",
                "whole": True,
                "keep": True,
            }
            self._remote.ask("open", self.path, h=h, pid=os.getpid(), **asked)
            self._lock_h = h
        return _lock(self._remote, self._lock_h, op, how, fields)

    def sync(self) -> None:
        """There is nothing to send."""

    def finish(self) -> None:
        self._drop()
        h, self._lock_h = self._lock_h, ""
        if h:
            self._remote.send("close", h=h)

    def _drop(self) -> None:
        parts, self._parts = self._parts, None
        if parts is not None:
            parts.close()
        h, self._h = self._h, ""
        if h:
            self._remote.send("close", h=h)


class Directory(Reading):
    """An open directory."""

    def __init__(self, remote: Remote, fd: int, path: str, found: list[int]) -> None:
        super().__init__(remote, fd, path, found, None, "")


class Writing:
    """`fd` is the program's; `local` is ours, to the same copy. `base`: what it began with, or -1."""

    writes = True
    parts = None

    def __init__(
        self,
        remote: Remote,
        fd: int,
        path: str,
        found: list[int],
        h: str,
        *,
        local: int,
        base: int,
        append: bool,
        copies: Copies,
    ) -> None:
        self.fd = fd
        self.path = path
        self._remote = remote
        self._found = found
        self._h = h
        self._local = local
        self._base = base
        self._append = append
        self._copies = copies
        self._changed = False
        #: Mappings of the copy that are alive: writing to one need not change the time stamp.
        self.mappings = 0
        self.closed = False
        # All up to here is at the client.
        self._end: int = real_os.fstat(local).st_size
        self._mark()

    def write(self, data: Any) -> int:
        """What os.write would do."""
        self._catch_up()
        view = memoryview(data).cast("B")
        if self._append:
            done = self._write_here(view)
            self._end = real_os.fstat(self._local).st_size
            self._send(view[:done], -1)
        else:
            at = real_os.lseek(self.fd, 0, os.SEEK_CUR)
            done = self._write_here(view)
            self._end = max(self._end, at + done)
            self._send(view[:done], at)
        self._mark()
        return done

    def pwrite(self, data: Any, at: int) -> int:
        self._catch_up()
        view = memoryview(data).cast("B")
        done = self._copies.in_room(lambda: int(real_os.pwrite(self.fd, view, at)))
        self._end = max(self._end, at + done)
        self._send(view[:done], -1 if self._append else at)
        self._mark()
        return done

    def truncate(self, size: int) -> None:
        self._catch_up()
        real_os.ftruncate(self._local, size)
        self._end = size
        self._changed = True
        self._remote.send("cut", h=self._h, size=size)
        self._mark()

    def ensure_all(self) -> None:
        """All of it is here."""

    def stat(self) -> os.stat_result:
        now = real_os.fstat(self._local)
        found = list(self._found)
        found[6] = now.st_size
        found[11] = now.st_blocks
        if now.st_mtime_ns != MARK:
            found[8] = found[9] = now.st_mtime_ns
        return unpacked(found)

    def sync(self) -> None:
        """Send what reached the copy by another way."""
        self._catch_up(sure=self.mappings > 0)

    def settle(self) -> None:
        """`sync`, and wait until the client has it. Raises what went wrong there since the last time."""
        self.sync()
        if self._changed:
            self._found = self._remote.ask("close", self.path, h=self._h, stay=True)[0]["stat"]

    def dirty(self) -> bool:
        """Whether there is something to send."""
        return bool(real_os.fstat(self._local).st_mtime_ns != MARK)

    def changed_there(self) -> bool:
        """Whether another has written the file since it was opened, or last settled, here."""
        now = self._remote.ask("close", self.path, h=self._h, stay=True)[0]["stat"]
        return bool(now[6] != self._found[6] or now[8] != self._found[8])

    def lock(self, op: str, how: int, **fields: Any) -> bool:
        """flock or lockf of the file at the client: whether it has the lock."""
        return _lock(self._remote, self._h, op, how, fields)

    def finish(self) -> None:
        """The program has closed it. Raises what went wrong at the client since the last time."""
        if self.closed:
            return
        self.sync()
        if self.mappings:
            return
        self.closed = True
        for fd in (self._local, self._base):
            if fd >= 0:
                real_os.close(fd)
        if self._changed:
            self._remote.ask("close", self.path, h=self._h)
        else:
            self._remote.send("close", h=self._h)

    def _write_here(self, view: memoryview) -> int:
        return self._copies.in_room(lambda: int(real_os.write(self.fd, view)))

    def _catch_up(self, *, sure: bool = False) -> None:
        if sure or real_os.fstat(self._local).st_mtime_ns != MARK:
            self._send_foreign()
            self._mark()

    def _mark(self) -> None:
        real_os.utime(self._local, ns=(MARK, MARK))

    def _send(self, view: Buffer, at: int) -> None:
        self._changed = True
        for start in range(0, len(view), PIECE):
            piece = view[start : start + PIECE]
            self._remote.send("write", piece, h=self._h, at=at if at < 0 else at + start)

    def _send_foreign(self) -> None:
        size = real_os.fstat(self._local).st_size
        if self._append:
            for at in range(self._end, size, PIECE):
                self._send(real_os.pread(self._local, min(PIECE, size - at), at), -1)
        elif self._base < 0:
            for at in range(0, size, PIECE):
                self._send(real_os.pread(self._local, PIECE, at), at)
        else:
            for at in range(0, size, BLOCK):
                self._send_changes(at)
        if size < self._end:
            self._changed = True
            self._remote.send("cut", h=self._h, size=size)
        self._end = size

    def _send_changes(self, at: int) -> None:
        now: bytes = real_os.pread(self._local, BLOCK, at)
        was: bytes = real_os.pread(self._base, len(now), at)
        if now == was:
            return
        # Bytes beyond the end of what it began with are ours.
        differs = _differing(was, now[: len(was)]) + b"\xff" * (len(now) - len(was))
        first = len(differs) - len(differs.lstrip(b"\0"))
        last = len(differs.rstrip(b"\0"))
        mask = differs[first:last].translate(_CHANGED)
        if 0 not in mask:
            self._send(now[first:last], at + first)
            return
        self._changed = True
        data = now[first:last] + zlib.compress(mask, 1)
        self._remote.send("merge", data, h=self._h, at=at + first, size=last - first)


def _differing(was: bytes, now: bytes) -> bytes:
    size = len(was)
    return (int.from_bytes(was, "little") ^ int.from_bytes(now, "little")).to_bytes(size, "little")


def _lock(remote: Remote, h: str, op: str, how: int, fields: dict[str, Any]) -> bool:
    wait = not how & fcntl.LOCK_NB
    asked = {"how": how & ~fcntl.LOCK_NB, "wait": wait, **fields}
    return bool(remote.ask(op, h=h, **asked)[0]["has"])


Handle = Union[Reading, Writing]
