"""The client's files as one process has them: `current()`, from when it begins; None where it has none."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from transparent_mp.primitives import directory
from transparent_mp.store.session import Session
from transparent_mp.worker.files.copies import Copies
from transparent_mp.worker.files.handles import Directory
from transparent_mp.worker.files.places import Places, own_places
from transparent_mp.worker.files.real import real_os
from transparent_mp.worker.files.remote import Remote
from transparent_mp.worker.files.table import Table

Path = Any


class Files:
    """What the functions of this package work with.

    `scratch` is a directory of this machine that the worker's processes share.
    """

    def __init__(self, remote: Remote, roots: list[str], scratch: str) -> None:
        self.remote = remote
        self.places = Places(roots, own_places([scratch]))
        self.copies = Copies(os.path.join(scratch, "files"))
        self.table = Table()
        self.scratch = scratch
        self.umask = real_os.umask(0)
        real_os.umask(self.umask)

    def route(self, path: Path, dir_fd: int | None = None) -> tuple[str | None, Path]:
        """The client's path, or None and what to give this machine's own function."""
        text = os.fspath(path)
        if isinstance(text, bytes):
            text = os.fsdecode(text)
        if not text or "\0" in text:
            return None, path
        if text[0] == "/":
            return (text, path) if self.places.is_clients(text) else (None, path)
        if dir_fd is not None:
            folder = self.table.find(dir_fd)
            return (os.path.join(folder.path, text), path) if isinstance(folder, Directory) else (None, path)
        stand = directory.standing()
        if not stand:
            return None, path
        full = os.path.join(stand, text)
        if self.places.is_clients(full):
            return full, path
        return None, os.fsencode(full) if isinstance(path, bytes) else full

    def close(self, fd: int) -> None:
        """Close a descriptor. Raises what went wrong with its file at the client."""
        try:
            self.table.remove(fd)
        finally:
            real_os.close(fd)

    def scratch_name(self) -> str:
        """A name for a file of this process alone."""
        return os.path.join(self.scratch, f"own-{os.urandom(8).hex()}")

    def empty(self) -> str:
        """An empty directory of this machine."""
        path = os.path.join(self.scratch, "empty")
        with contextlib.suppress(FileExistsError):
            real_os.mkdir(path, 0o700)
        return path


class _Place:
    """Where this process's files are kept."""

    files: Files | None = None


def current() -> Files | None:
    """The client's files, if this process sees them through us."""
    return _Place.files


def enter(session: Session, roots: list[str], scratch: str) -> Files:
    """From here on this process finds the client's files under their paths."""
    files = _Place.files = Files(Remote(session), roots, scratch)
    return files


def hand_over() -> None:
    """What mappings were given is seen by whoever is told of it next."""
    files = _Place.files
    if files is not None and files.table.sync_mapped():
        files.remote.settle()


def leave() -> None:
    """At the end of the process: the client has all that was written. Raises what went wrong there."""
    files = _Place.files
    if files is not None:
        files.table.finish_all()
        files.remote.settle()


def forget() -> None:
    """This process has the machine's own files only."""
    _Place.files = None
