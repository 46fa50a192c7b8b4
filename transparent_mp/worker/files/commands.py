"""Commands (`subprocess`, `os.system`): they find the client's files that they are told of.

A command has a directory of this machine, in which the client's paths lie under their own names: it stands
there where the program stands, absolute paths among its arguments lead there, and what its arguments name
is brought there before it starts, directories with all that is in them. When its end is seen, what it has
made, changed or removed there is done at the client.

It does not find what its arguments do not name, and what it says of absolute paths has that directory in
front of them.
"""

from __future__ import annotations

import contextlib
import errno
import inspect
import os
import re
import shutil
import stat
from typing import Any, Callable

from transparent_mp.originals import original
from transparent_mp.store.link import from_handler
from transparent_mp.worker.files.state import Files, current

#: What a shell's words are made of, as far as they may name files.
_WORD = re.compile(r"[^\s'\"`|&;<>()$*?\[\]{}\\]+")

_System = tuple[int, int, int, int]


class Mirror:
    """The client's files as one command has them, in `place`."""

    def __init__(self, files: Files, base: str) -> None:
        """`base`: where relative paths begin."""
        self._files = files
        self._base = base
        self.place = files.scratch_name()
        os.mkdir(self.place, 0o700)
        #: What was brought, and how it was then; None: a directory.
        self._brought: dict[str, _System | None] = {}

    def stand(self) -> str:
        """The directory here that is `base` there. Raises the client's error when there is none."""
        if not self._files.places.is_clients(self._base):
            return self._base
        if not stat.S_ISDIR(os.stat(self._base).st_mode):
            raise NotADirectoryError(20, os.strerror(20), self._base)
        return self._folder(self._base)

    def word(self, word: Any, *, must_be: bool = False) -> Any:
        """An argument, leading here where it names a path of the client; `must_be`: only if it is there."""
        if isinstance(word, bytes):
            return os.fsencode(self.word(os.fsdecode(word), must_be=must_be))
        text = os.fspath(word)
        at = 0
        if text.startswith("-"):
            # -I/path, --out=path
            at = next((match.end() for match in re.finditer(r"=|^-\w(?=/)", text)), len(text))
        path = text[at:]
        full = os.path.normpath(os.path.join(self._base, path))
        if not path or "\0" in path or not self._files.places.is_clients(full):
            return word
        there = self._bring(full)
        if not path.startswith("/") or (must_be and not there):
            return word
        return text[:at] + self.place + path

    def words(self, command: str) -> str:
        """A shell's command, with the words in it that name paths of the client."""
        return _WORD.sub(lambda match: self.word(match.group()), command)

    def end(self) -> None:
        """Do at the client what was done here. Raises what goes wrong there."""
        try:
            here = self._found()
            for path in sorted(set(self._brought) - set(here), reverse=True):
                with contextlib.suppress(FileNotFoundError):
                    (os.rmdir if self._brought[path] is None else os.unlink)(path)
            for path, now in sorted(here.items()):
                if now is None:
                    if path not in self._brought:
                        os.mkdir(path)
                elif self._brought.get(path) != now:
                    _copy(self.place + path, path, same_mode=path not in self._brought)
        finally:
            self.remove()

    def remove(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)

    def _bring(self, path: str) -> bool:
        """Have here what the client has there; whether there is any."""
        if os.path.lexists(self.place + path):
            return True
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            if from_handler(error):
                raise
            parent = os.path.dirname(path)
            # It may be about to be made.
            if not os.path.isdir(self.place + parent) and os.path.isdir(parent):
                self._folder(parent)
            return False
        if stat.S_ISDIR(mode):
            self._folder(path)
            for folder, folders, names in os.walk(path):
                for name in folders:
                    self._folder(os.path.join(folder, name))
                for name in names:
                    self._file(os.path.join(folder, name))
        elif stat.S_ISREG(mode):
            self._folder(os.path.dirname(path))
            self._file(path)
        return True

    def _folder(self, path: str) -> str:
        here = self.place + path
        os.makedirs(here, exist_ok=True)
        while path not in self._brought and path != "/":
            self._brought[path] = None
            path = os.path.dirname(path)
        return here

    def _file(self, path: str) -> None:
        here = self.place + path
        if os.path.exists(here):
            return
        try:
            _copy(path, here, same_mode=True)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT) or from_handler(error):
                raise
            # Links that lead nowhere or out, devices, and what may not be read, are not there for it.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(here)
        else:
            self._brought[path] = _state(here)

    def _found(self) -> dict[str, _System | None]:
        found: dict[str, _System | None] = {}
        for folder, folders, names in os.walk(self.place):
            at = folder[len(self.place) :]
            found.update((f"{at}/{name}", None) for name in folders)
            for name in names:
                with contextlib.suppress(OSError):
                    found[f"{at}/{name}"] = _state(os.path.join(folder, name))
        return found


def begun(instead: Callable[..., None], *args: Any, **kw: Any) -> Mirror | None:
    """Do what Popen._execute_child would do, with `instead` the true one, in a mirror if there are files."""
    files = current()
    if files is None:
        instead(*args, **kw)
        return None
    given = inspect.signature(instead).bind(*args, **kw)
    mirror = _mirrored(files, given.arguments)
    try:
        instead(*given.args, **given.kwargs)
    except BaseException:
        mirror.remove()
        raise
    return mirror


def system(instead: Callable[[Any], int], command: Any) -> int:
    """What os.system would do, with `instead` the true one."""
    files = current()
    if files is None:
        return instead(command)
    mirror = Mirror(files, os.getcwd())
    try:
        stands = mirror.stand()
        text = mirror.words(os.fsdecode(command))
    except BaseException:
        mirror.remove()
        raise
    really = original("os", "getcwd")()
    original("os", "chdir")(stands)
    try:
        return instead(text)
    finally:
        original("os", "chdir")(really)
        mirror.end()


def _mirrored(files: Files, given: dict[str, Any]) -> Mirror:
    cwd = os.fsdecode(given["cwd"]) if given["cwd"] is not None else ""
    mirror = Mirror(files, os.path.normpath(os.path.join(os.getcwd(), cwd)))
    try:
        stands = mirror.stand()
        if cwd or stands != os.getcwd():
            given["cwd"] = stands
        args = given["args"]
        if given["shell"] and isinstance(args, (str, bytes)):
            given["args"] = mirror.words(os.fsdecode(args))
        elif isinstance(args, (str, bytes, os.PathLike)):
            given["args"] = mirror.word(args, must_be=True)
        else:
            first, *rest = args
            given["args"] = [mirror.word(first, must_be=True), *map(mirror.word, rest)]
        if given["executable"] is not None:
            given["executable"] = mirror.word(given["executable"], must_be=True)
    except BaseException:
        mirror.remove()
        raise
    return mirror


def _copy(source: str, target: str, *, same_mode: bool) -> None:
    with open(source, "rb") as reader, open(target, "wb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
    if same_mode:
        os.chmod(target, stat.S_IMODE(os.stat(source).st_mode))


def _state(path: str) -> _System:
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
