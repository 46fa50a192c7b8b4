"""The open files of a process by descriptor, and those that live on in mappings.

A descriptor may be closed by C code, which tells nobody, and its number be another file's by then: each is
known by the copy it is of as well.
"""

from __future__ import annotations

import contextlib

from transparent_mp.worker.files.handles import Handle, Writing
from transparent_mp.worker.files.real import real_os


class Table:
    """The open files of this process by descriptor."""

    def __init__(self) -> None:
        self._handles: dict[int, tuple[Handle, tuple[int, int]]] = {}
        self._mapped: list[Writing] = []

    def add(self, fd: int, handle: Handle) -> None:
        """`fd` is an open file of the client; it may have several, by dup."""
        self._handles[fd] = (handle, _identity(fd))

    def find(self, fd: int) -> Handle | None:
        """The open file, unless the descriptor was closed behind our back and is another's now."""
        known = self._handles.get(fd)
        if known is None:
            return None
        try:
            same = known[1] == _identity(fd)
        except OSError:
            same = False
        if not same:
            self.remove(fd)
            return None
        return known[0]

    def remove(self, fd: int) -> None:
        """The descriptor is closed: the file is, when it was the last. Raises as `Writing.finish`."""
        known = self._handles.pop(fd, None)
        if known is not None and not self._others(known[0]):
            known[0].finish()

    def _others(self, handle: Handle) -> bool:
        """Whether a descriptor of it is still open; C code may have closed one it had by dup."""
        for fd, (other, identity) in list(self._handles.items()):
            if other is handle:
                try:
                    if _identity(fd) == identity:
                        return True
                except OSError:
                    pass
                del self._handles[fd]
        return False

    def mapped(self, handle: Writing) -> None:
        """A mapping of it is there, which may outlive its descriptors."""
        handle.mappings += 1
        self._mapped.append(handle)

    def unmapped(self, handle: Writing) -> None:
        """One less. Raises as `Writing.finish`."""
        self._mapped.remove(handle)
        handle.sync()
        handle.mappings -= 1
        if not self._others(handle):
            handle.finish()

    def sync_mapped(self) -> bool:
        """Send what was written to mappings; whether there are any."""
        for handle in list(self._mapped):
            handle.sync()
        return bool(self._mapped)

    def finish_all(self) -> None:
        """At the end of the process: send what was not sent.

        Raises as `Writing.finish`, when all was tried.
        """
        errors = []
        self.sync_mapped()
        for handle, _ in list(self._handles.values()):
            try:
                handle.finish()
            except OSError as error:
                errors.append(error)
        self._handles.clear()
        if errors:
            raise errors[0]

    def __len__(self) -> int:
        return len(self._handles)


def _identity(fd: int) -> tuple[int, int]:
    found = real_os.fstat(fd)
    return found.st_dev, found.st_ino


def close_quietly(*fds: int) -> None:
    """Close those that are open."""
    for fd in fds:
        with contextlib.suppress(OSError):
            real_os.close(fd)
