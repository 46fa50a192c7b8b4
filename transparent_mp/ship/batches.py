"""What the client has served of its code, and which of it is still so.

A batch is one answer of `modules`: its header and its modules' bytes. It is named by its digest and goes
through the store once, whoever asks for it. A process that is started is told the batches that are
current, so that it takes from its worker what an earlier one has fetched, and asks for nothing.

    module    name    -> batch: its digest, with the batch itself when it is small; asked: the name it is of
    current           -> current: asked name -> batch

Current is what the same request would be answered today: no file in it, and no directory it may have been
found in, is another than it was. A file that changes while it is read, or right before, is not trusted to
show that, so such an answer is not told.

It does not read modules; `modules` does.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from transparent_mp.ship import contents, modules
from transparent_mp.ship.frames import encode
from transparent_mp.ship.reading import Code
from transparent_mp.store.session import Session

#: Bytes up to which a batch travels in its answer. Larger: more is sent again and again to each worker;
#: smaller: the second round trip that fetches it is felt.
INLINE = 16 * 1024
#: Nanoseconds that a file must have been left alone for its times to tell the next change.
SETTLED = 50_000_000

Stamp = tuple[int, ...]


class _Served(NamedTuple):
    batch: str
    #: What it was made of.
    files: dict[str, Stamp]
    #: Where its first module was searched for.
    folders: dict[str, Stamp]
    origin: Any


class Batches:
    """The client's book of what it has served. Thread-safe."""

    def __init__(self, session: Session, code: Code | None = None) -> None:
        self._session = session
        self._code = code or Code()
        self._lock = threading.Lock()
        self._served: dict[str, _Served] = {}
        self._came_with: dict[str, frozenset[str]] = {}
        self._path: list[str] = []
        self._stored: set[str] = set()
        # Python takes it from __main__ at the script's end, when processes may still be made.
        self._script = modules.main_script()

    def answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Answer a request for code."""
        kind = request.get("kind")
        if kind == "current":
            return {"current": self.current()}, b""
        if self._script is not None and request.get("file") == self._script and os.path.isfile(self._script):
            return self._main_script(kind == "script")
        if kind != "module":
            return modules.answer(request, self._code)
        began = time.time_ns()
        asked = self._covering(str(request["name"]))
        header, body = modules.answer({**request, "name": asked}, self._code)
        if asked != request["name"] and not _tells(header, request["name"]):
            asked = str(request["name"])
            header, body = modules.answer(request, self._code)
        if "modules" not in header:
            return header, body
        content = encode(header, body)
        digest = hashlib.sha256(content).hexdigest()
        with self._lock:
            self._note(asked, digest, header, began)
        head = {"asked": asked, "batch": digest}
        if len(content) <= INLINE:
            return head, content
        if digest not in self._stored:
            self._session.store.call(*contents.put(self._session, {digest: content}, set()))
            self._stored.add(digest)
        return head, b""

    def _main_script(self, as_it_is: bool) -> tuple[dict[str, Any], bytes]:
        assert self._script is not None
        try:
            return (modules.read_script if as_it_is else modules.read_source)(self._script, self._code)
        except (OSError, SyntaxError, ValueError) as error:
            return {"found": False, "error": f"{type(error).__name__}: {error}"}, b""

    def current(self) -> dict[str, str]:
        """Asked name -> batch, of what would be answered the same today."""
        with self._lock:
            if not self._served:
                return {}
            if self._path != sys.path:
                self._served.clear()
            seen: dict[str, Stamp] = {}
            for name, served in list(self._served.items()):
                if not _same(served.files, seen) or not self._still_found(name, served, seen):
                    del self._served[name]
            return {name: served.batch for name, served in self._served.items()}

    def _covering(self, name: str) -> str:
        """The package with which the module came last time, and comes again when a file of it has changed."""
        parts = name.split(".")
        for end in range(1, len(parts)):
            package = ".".join(parts[:end])
            if name in self._came_with.get(package, ()):
                return package
        return name

    def _note(self, name: str, digest: str, header: dict[str, Any], began: int) -> None:
        if self._path != sys.path:
            self._served.clear()
            self._path = list(sys.path)
        whole = (entry["name"] for entry in header["modules"] if entry["size"] is not None)
        self._came_with[name] = frozenset(whole)
        seen: dict[str, Stamp] = {}
        files = {path: _stamp(path, seen) for path in _made_of(header)}
        folders = {path: _stamp(path, seen) for path in _searched(name)}
        newest = max((max(stamp[2:]) for stamp in seen.values() if stamp), default=0)
        if newest < began - SETTLED:
            origin = next((entry["origin"] for entry in header["modules"] if entry["name"] == name), None)
            self._served[name] = _Served(digest, files, folders, origin)
        else:
            self._served.pop(name, None)

    def _still_found(self, name: str, served: _Served, seen: dict[str, Stamp]) -> bool:
        """Whether a search ends where it did, though the program may have put files beside the module."""
        if _same(served.folders, seen):
            return True
        spec = modules.find_spec(name)
        served.folders.update({path: _stamp(path, seen) for path in served.folders})
        return bool((None if spec is None else spec.origin) == served.origin)


def _tells(header: dict[str, Any], name: str) -> bool:
    for entry in header["modules"]:
        if entry["name"] == name:
            return entry["size"] is not None
    return name.rpartition(".")[0] in header["complete"]


def _made_of(header: dict[str, Any]) -> set[str]:
    paths: set[str] = set()
    for entry in header["modules"]:
        if isinstance(entry["origin"], str):
            paths.add(_on_disk(entry["origin"]))
        paths.update(map(_on_disk, entry["path"] or ()))
    return paths


def _searched(name: str) -> Iterable[str]:
    parent = name.rpartition(".")[0]
    folders = modules.search_path(parent) or [] if parent else [path or os.curdir for path in sys.path]
    return {_on_disk(folder) for folder in folders}


def _on_disk(path: str) -> str:
    """The path, or the archive it leads into."""
    while path and not os.path.exists(path):
        above = os.path.dirname(path)
        if above == path or os.path.isdir(above):
            break
        path = above
    return path


def _same(stamps: dict[str, Stamp], seen: dict[str, Stamp]) -> bool:
    return all(_stamp(path, seen) == stamp for path, stamp in stamps.items())


def _stamp(path: str, seen: dict[str, Stamp]) -> Stamp:
    """Changes whenever the file or directory does; empty when there is none."""
    stamp = seen.get(path)
    if stamp is None:
        try:
            info = os.stat(path)
        except OSError:
            stamp = ()
        else:
            stamp = (info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
        seen[path] = stamp
    return stamp
