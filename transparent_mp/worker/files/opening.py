"""open() and os.open() of the client's files.

`open_fd` asks the client once: the answer has the file's version, and its content unless this worker has it
or it is large. What the program gets is a descriptor of a copy; `open_file` puts the standard library's own
buffers and text layers over it.
"""

from __future__ import annotations

import errno
import io
import locale
import os
import stat
from typing import Any, Callable

from transparent_mp.originals import original
from transparent_mp.store.link import from_handler
from transparent_mp.store.session import new_id
from transparent_mp.worker.files.copies import Parts
from transparent_mp.worker.files.handles import Directory, Handle, Reading, Writing
from transparent_mp.worker.files.real import real_os
from transparent_mp.worker.files.state import Files, current
from transparent_mp.worker.files.table import close_quietly

#: How often a copy may be removed, to make room, between its coming and its being opened.
TRIES = 5

#: Buffer of a file that comes in parts, or is written: one message each.
LARGE_BUFFER = 64 << 10

_TMPFILE = getattr(os, "O_TMPFILE", 0)
#: Flags that matter to the descriptor that the program gets.
_OF_COPY = os.O_ACCMODE | os.O_APPEND


def open_fd(
    files: Files, path: str, named: Any, flags: int, mode: int = 0o777, *, lazy: bool = False, at: str = ""
) -> int:
    """Open it at the client, and return a descriptor of its copy here.

    `lazy`: its reader asks for the parts that are missing. `at`: the path that a writer's copy is to keep.
    """
    if _TMPFILE and flags & _TMPFILE == _TMPFILE:
        return _anonymous(files, flags)
    wants = flags & ~os.O_NONBLOCK
    plain = flags & (os.O_APPEND | os.O_TRUNC | os.O_EXCL) == 0
    if flags & os.O_ACCMODE == os.O_WRONLY and plain:
        # What is written must be told from what was there.
        wants = wants & ~os.O_ACCMODE | os.O_RDWR
    for _ in range(TRIES):
        h = new_id()
        have, whole = files.copies.known(path)
        fields = {"path": path, "flags": wants, "mode": mode & ~files.umask, "h": h, "pid": os.getpid()}
        head, body = files.remote.ask("open", named, **fields, have=have, whole=whole)
        opened = _Opened(files, path, named, h if head["kept"] else "", head)
        try:
            if stat.S_ISDIR(opened.found[0]):
                return opened.directory()
            if flags & os.O_ACCMODE == os.O_RDONLY:
                return opened.reading(body, have, lazy)
            return opened.writing(body, have, flags, at)
        except FileNotFoundError:
            # Another process made room. What opening does has been done.
            opened.give_up()
            wants &= ~(os.O_CREAT | os.O_EXCL | os.O_TRUNC)
        except OSError as error:
            opened.give_up()
            if from_handler(error):
                raise
            raise OSError(error.errno, error.strerror, named) from None
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), named)


class _Opened:
    """A file that the client has opened, on its way to a descriptor here."""

    def __init__(self, files: Files, path: str, named: Any, h: str, head: dict[str, Any]) -> None:
        self._files = files
        self._path = path
        self._named = named
        self._h = h
        self._version: str = head["version"]
        self.found: list[int] = head["stat"]

    def directory(self) -> int:
        fd: int = real_os.open(self._files.empty(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self._known(fd, Directory(self._files.remote, fd, self._path, self.found))

    def reading(self, body: bytes, have: str, lazy: bool) -> int:
        fd, parts = self._content(body, have)
        handle = Reading(self._files.remote, fd, self._path, self.found, parts, self._h)
        if parts is None:
            handle.finish()
        elif not lazy:
            try:
                handle.ensure_all()
            except OSError:
                handle.finish()
                close_quietly(fd)
                raise
        return self._known(fd, handle)

    def writing(self, body: bytes, have: str, flags: int, keep: str) -> int:
        size = self.found[6]
        reads = flags & os.O_ACCMODE == os.O_RDWR or not flags & os.O_APPEND
        base = -1
        if size and reads and not flags & os.O_TRUNC:
            base = self._whole(body, have)
        name = keep or self._files.scratch_name()
        local = real_os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fd = real_os.open(name, flags & _OF_COPY | os.O_CLOEXEC)
            self._files.copies.in_room(lambda: fill(local, base, size), self._version)
        except OSError:
            close_quietly(local, base)
            raise
        finally:
            if not keep:
                real_os.unlink(name)
        handle = Writing(
            self._files.remote, fd, self._path, self.found, self._h,
            local=local, base=base, append=bool(flags & os.O_APPEND), copies=self._files.copies,
        )  # fmt: skip
        return self._known(fd, handle)

    def _whole(self, body: bytes, have: str) -> int:
        fd, parts = self._content(body, have)
        if parts is not None:
            try:
                parts.ensure(0, self.found[6])
            except OSError:
                close_quietly(fd)
                raise
            finally:
                parts.close()
        return fd

    def give_up(self) -> None:
        if self._h:
            self._files.remote.send("close", h=self._h)

    def _content(self, body: bytes, have: str) -> tuple[int, Parts | None]:
        copies, size = self._files.copies, self.found[6]
        if self._version != have:
            if len(body) == size:
                copies.put(self._path, self._version, body)
            else:
                copies.begin(self._path, self._version, size)
        return copies.open(self._version, size, self._fetch)

    def _fetch(self, at: int, count: int) -> tuple[bytes, bool]:
        fields = {"h": self._h, "at": at, "count": count, "version": self._version}
        head, body = self._files.remote.ask("read", self._named, **fields)
        return body, head["same"]

    def _known(self, fd: int, handle: Handle) -> int:
        self._files.table.add(fd, handle)
        return fd


def _anonymous(files: Files, flags: int) -> int:
    """A file without a name is nobody else's: it needs no client."""
    name = files.scratch_name()
    access = flags & (os.O_ACCMODE | os.O_APPEND)
    fd: int = real_os.open(name, access | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    real_os.unlink(name)
    return fd


def fill(local: int, base: int, size: int) -> None:
    """Give a writer's copy what the file has; without a base only its size, for who asks where it ends."""
    real_os.ftruncate(local, size)
    at = 0
    while base >= 0 and at < size:
        # The offset of `base` is left alone; sendfile moves that of `local`.
        done = real_os.sendfile(local, base, at, size - at)
        if not done:
            return
        at += done


class ClientReader(io.FileIO):
    """A raw file that reads a copy."""

    _handle: Handle | None = None
    _table: Any = None

    def take(self, files: Files, closes: bool) -> None:
        """Be the owner of the descriptor; `closes` as open's closefd."""
        self._handle = files.table.find(super().fileno())
        self._table = files.table if closes else None

    def close(self) -> None:
        if not self.closed and self._table is not None:
            table, self._table = self._table, None
            try:
                table.remove(super().fileno())
            finally:
                super().close()
        else:
            super().close()


class PartsReader(ClientReader):
    """The same while parts of it may be missing."""

    def readinto(self, buffer: Any) -> Any:
        view = memoryview(buffer).cast("B")
        self._ensure(len(view))
        return super().readinto(view)

    def read(self, size: int | None = -1) -> Any:
        if size is None or size < 0:
            return self.readall()
        self._ensure(size)
        return super().read(size)

    def readall(self) -> Any:
        self._ensure(1 << 62)
        return super().readall()

    def fileno(self) -> int:
        # Whoever asks may read without us.
        if self._handle is not None:
            self._handle.ensure_all()
        return super().fileno()

    def _ensure(self, count: int) -> None:
        if self._handle is not None and self._handle.parts is not None:
            at = self.tell()
            try:
                self._handle.parts.ensure(at, at + count)
            except OSError as error:
                if from_handler(error):
                    raise
                raise OSError(error.errno, error.strerror, self.name) from None


class ClientWriter(ClientReader):
    """A raw file that writes to the client as well."""

    def write(self, data: Any) -> Any:
        if self._handle is None or not self.writable():
            return super().write(data)
        return self._handle.write(data)  # type: ignore[union-attr]

    def truncate(self, size: int | None = None) -> Any:
        if self._handle is None or not self.writable():
            return super().truncate(size)
        size = self.tell() if size is None else size
        if size < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._handle.truncate(size)  # type: ignore[union-attr]
        return size


def open_file(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Callable[[Any, int], int] | None = None,
) -> Any:
    """What open() answers."""
    files, real = current(), original("io", "open")
    if files is None:
        return real(file, mode, buffering, encoding, errors, newline, closefd, opener)
    there, here = None, file
    if isinstance(file, int):
        if files.table.find(file) is None:
            return real(file, mode, buffering, encoding, errors, newline, closefd, opener)
    else:
        file = os.fspath(file)
        there, here = files.route(file)
        if there is None and opener is None:
            return real(here, mode, buffering, encoding, errors, newline, closefd, opener)
    _check(mode, buffering, encoding, errors, newline)
    if opener is None and there is not None:
        path = there

        def opener(named: Any, flags: int) -> int:
            return open_fd(files, path, named, flags, 0o666, lazy=True)

    raw = _raw(files, file, mode, closefd, opener)
    try:
        return _layers(raw, mode, buffering, encoding, errors, newline)
    except BaseException:
        raw.close()
        raise


def _raw(files: Files, file: Any, mode: str, closefd: bool, opener: Any) -> io.FileIO:
    raw_mode = mode.replace("t", "").replace("b", "")
    if isinstance(file, int):
        fd = file
    else:
        # The mode's flags are worked out by who knows the modes; what it opens is then taken over.
        opened: list[int] = []

        def opening(named: Any, flags: int) -> int:
            fd: int = opener(named, flags)
            opened.append(fd)
            return fd

        raw = ClientReader(file, raw_mode, closefd, opening)
        handle = files.table.find(opened[0])
        if handle is None or (type(handle) is Reading and handle.parts is None):
            raw.take(files, closefd)
            return raw
        raw.__class__ = ClientWriter if handle.writes else PartsReader
        raw.take(files, closefd)
        return raw
    handle = files.table.find(fd)
    kind = ClientWriter if handle is not None and handle.writes else PartsReader
    raw = kind(fd, raw_mode, closefd)
    raw.take(files, closefd)
    return raw


def _check(mode: str, buffering: int, encoding: Any, errors: Any, newline: Any) -> None:
    """Raise the standard library's own error for arguments that make no sense, before anything is opened."""
    if not isinstance(mode, str) or ("b" in mode and "t" not in mode and (encoding or errors or newline)):
        original("io", "open")(os.devnull, mode, buffering, encoding, errors, newline)
    if set(mode) - set("axrwb+t") or len(mode) != len(set(mode)) or ("b" in mode and "t" in mode) or (
        sum(letter in mode for letter in "axrw") != 1 or ("b" not in mode and buffering == 0)
    ):  # fmt: skip
        original("io", "open")(os.devnull, mode, buffering, encoding, errors, newline)


def _layers(
    raw: io.FileIO, mode: str, buffering: int, encoding: str | None, errors: str | None, newline: str | None
) -> Any:
    binary = "b" in mode
    line = buffering == 1 and not binary
    if buffering == 0:
        return raw
    if buffering < 0 or buffering == 1:
        buffering = LARGE_BUFFER if type(raw) is PartsReader or mode[0] in "wx" else io.DEFAULT_BUFFER_SIZE
    buffer: Any
    if "+" in mode:
        buffer = io.BufferedRandom(raw, buffering)
    elif "r" in mode:
        buffer = io.BufferedReader(raw, buffering)
    else:
        buffer = io.BufferedWriter(raw, buffering)
    if binary:
        return buffer
    if encoding is None and type(raw) is PartsReader:
        # Before 3.11 the text layer asks for the descriptor to find this out.
        encoding = locale.getpreferredencoding(False)
    text: Any = io.TextIOWrapper(buffer, encoding, errors, newline, line)
    text.mode = mode
    return text
