"""A worker's pantry: code of clients by digest, for every process and session of this machine and user.

    NAME          content of that SHA-256: a batch of modules
    NAME.code     SHA-256 of what follows: a code object, marshalled, of a module compiled here
    NAME/FILE     compiled module, where the dynamic loader finds it under its own name

Names are digests of what they hold or were made of, so what is there is right, whoever put it there
first, and is not locked. The directory is this user's alone. Where there can be none, or the disk is
full, everything is fetched and compiled anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import sys
import tempfile
import types
from typing import Any

from transparent_mp.originals import original

#: Bytes beyond which the oldest is thrown away when a worker begins: /tmp of a Lambda may have 512 MB.
SIZE = 128 << 20


_DIGEST = 32


class Pantry:
    """Made by the supervisor before it forks; used by its children."""

    def __init__(self) -> None:
        place = os.path.join(tempfile.gettempdir(), f"transparent_mp-code-{os.getuid()}")
        try:
            _os("mkdir")(place, 0o700)
        except FileExistsError:
            pass
        except OSError:
            place = ""
        if place:
            info = _os("lstat")(place)
            # Whoever could write here could have its code run.
            private = info.st_uid == os.getuid() and info.st_mode & 0o170077 == 0o040000
            place = place if private else ""
        self.place = place

    def content(self, digest: str) -> bytes | None:
        """The content of that digest, if it is here and whole."""
        content = self.get(digest)
        return content if content and hashlib.sha256(content).hexdigest() == digest else None

    def get(self, name: str) -> bytes | None:
        """The content of that name, if it is here."""
        if self.place:
            with contextlib.suppress(OSError), original("builtins", "open")(self._path(name), "rb") as file:
                content: bytes = file.read()
                return content
        return None

    def put(self, name: str, content: Any) -> None:
        """Keep it, if that is possible."""
        if self.place:
            with contextlib.suppress(OSError):
                self._write(self._path(name), content)

    def code(self, digest: str, path: str, compiled: Any) -> types.CodeType:
        """The code object of a source; `compiled()` makes it, the first time on this machine."""
        about = f"{digest} {sys.implementation.cache_tag} {sys.flags.optimize} {path}"
        name = hashlib.sha256(about.encode()).hexdigest() + ".code"
        kept = self.get(name) or b""
        # What a disk has damaged could crash the interpreter.
        if kept[:_DIGEST] == hashlib.sha256(kept[_DIGEST:]).digest():
            with contextlib.suppress(ValueError, EOFError, TypeError):
                code: types.CodeType = marshal.loads(kept[_DIGEST:])  # noqa: S302  written by this user
                return code
        code = compiled()
        content = marshal.dumps(code)
        self.put(name, hashlib.sha256(content).digest() + content)
        return code

    def native(self, content: Any, name: str) -> str:
        """A path at which the dynamic loader finds a compiled module. Raises OSError."""
        place = self.place or tempfile.mkdtemp(prefix="transparent_mp-")
        folder = os.path.join(place, hashlib.sha256(content).hexdigest())
        path = os.path.join(folder, name)
        with contextlib.suppress(FileExistsError):
            _os("mkdir")(folder, 0o700)
        if not _is_there(path):
            self._write(path, content)
        return path

    def has_native(self, digest: str, name: str) -> str:
        """The path of one that is here already; '' if none is."""
        path = os.path.join(self.place, digest, name) if self.place else ""
        return path if path and _is_there(path) else ""

    def trim(self) -> None:
        """Throw away what has been longest here, when there is too much."""
        if not self.place:
            return
        found = []
        for folder, _, names in os.walk(self.place):
            for name in names:
                with contextlib.suppress(OSError):
                    info = os.lstat(os.path.join(folder, name))
                    found.append((info.st_mtime, info.st_size, os.path.join(folder, name)))
        left = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if left <= SIZE:
                break
            with contextlib.suppress(OSError):
                os.unlink(path)
                left -= size

    def _path(self, name: str) -> str:
        return os.path.join(self.place, name)

    @staticmethod
    def _write(path: str, content: Any) -> None:
        partial = f"{path}.{os.getpid()}"
        try:
            with original("builtins", "open")(partial, "wb") as file:
                file.write(content)
            _os("rename")(partial, path)
        except OSError:
            with contextlib.suppress(OSError):
                _os("unlink")(partial)
            raise


def _is_there(path: str) -> bool:
    try:
        _os("lstat")(path)
    except FileNotFoundError:
        return False
    return True


def _os(name: str) -> Any:
    # A process of the program finds the client's files by these names.
    return original("os", name)
