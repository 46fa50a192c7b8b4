"""What a supervisor is told of a process before it forks it: what it will import, and what it is like.

Imported by the supervisor they are there for all its processes, as they are for children that a program
forks; imported by each process they cost a program of short-lived ones more than its work.

    frame body = length of the word (2 bytes) WORD the sealed body of the process
    WORD       = TAG (16 bytes) and lines: NAME=VALUE, a variable those packages read; MODULE FILE; or =LIKE

MODULE is one that the process object or the image refers to, or whose code starts the process, or that the
import of such a one brings (`brought`), FILE what its package was imported from at the sender. LIKE is the
same for processes that have all but the process object in common (method fork), which need be made ready only
once. A word is sealed for its process; one that is not right is as good as none, since every process imports
what it lacks.

It does not import anything: `worker.preload` does, and knows when a package is the one that is meant.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import sys
import types
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from transparent_mp.errors import UntrustedPayloadError
from transparent_mp.primitives import own_modules
from transparent_mp.store.session import Session

log = logging.getLogger("transparent_mp")

#: Packages that are imported ahead: nothing of the machine or the program is in what their import makes,
#: but for numpy's seed, and the environment's OF_LIBRARIES.
AHEAD = frozenset({"numpy", "pandas", "psutil", "scipy", "sklearn", "torch"})
#: How the names of variables begin that they, and the libraries they load, read when imported.
_READ = (
    "ATEN_ BLIS_ CUDA_ GOMP_ GOTO_ JOBLIB_ KMP_ LOKY_ MKL_ NPY_ NUMEXPR_ NUMPY_ OMP_ OPENBLAS_ PANDAS_ "
    "PSUTIL_ PYTORCH_ SCIPY_ SKLEARN_ TORCH"
)
OF_LIBRARIES = tuple(_READ.split())

_OURS = __name__.partition(".")[0] + "."
_LENGTH = 2
#: In front of the body of a process about which nothing is said.
NO_WORD = bytes(_LENGTH)
#: A word beyond this is not sent: it is worth less than it costs.
_MOST = 8192


class Wanted(NamedTuple):
    """What a word says."""

    variables: list[str]
    #: Module -> the file of its package at the sender.
    modules: dict[str, str]
    #: '' if the process is to be made ready for itself.
    like: str = ""


def variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """Those that the packages read, each as NAME=VALUE: this process's, if not of `environ`."""
    found = os.environ if environ is None else environ
    words = [f"{key}={value}" for key, value in found.items() if key.startswith(OF_LIBRARIES)]
    # A word has no space in it.
    return [word for word in words if len(word.split()) == 1]


def likeness(common: bytes) -> str:
    """LIKE of processes of which all this is the same."""
    return hashlib.blake2b(common, digest_size=16).hexdigest()


def word(
    session: Session,
    uid: str,
    modules: Iterable[str],
    environ: Mapping[str, str] | None = None,
    like: str = "",
) -> bytes:
    """What is put in front of the body of a process that refers to these modules, and has that `environ`."""
    referred = set(modules)
    wanted = {*filter(_is_one, referred), *filter(_is_one, brought(referred))}
    packages = {name.partition(".")[0] for name in wanted}
    # Of a package that it imports anyway, its tasks are likely to want what the program works with.
    wanted |= {_part(name) for name in named_in("__main__") if name.partition(".")[0] in packages}
    lines = [f"{name} {_file(name)}" for name in sorted(wanted)]
    words = [*variables(environ), *lines] if lines else []
    if sum(map(len, words)) > _MOST:
        words = []
    if like:
        words.append("=" + like)
    if not words:
        return NO_WORD
    text = "\n".join(words).encode()
    sealed = session.seal.close(_place(uid), text)
    return len(sealed).to_bytes(_LENGTH, "big") + sealed


def brought(modules: Iterable[str]) -> set[str]:
    """Packages AHEAD, and parts of them, that an import of these modules brings.

    A module that imports another one has it, or something of it, among its globals, whatever else it has
    imported since: what it has from functions only is not there.
    """
    found: set[str] = set()
    if AHEAD.isdisjoint(sys.modules):
        # What imports them would have done so here. The search takes as long as to pickle a process.
        return found
    seen: set[str] = set()
    todo = [name for module in modules for name in _with_parents(module)]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if name.partition(".")[0] in AHEAD:
            # What is deeper they import themselves.
            found.add(_part(name))
            continue
        module = sys.modules.get(name)
        # Its own globals are what a forked process may never use.
        if isinstance(module, types.ModuleType) and name != "__main__":
            todo.extend(_named_in(name, len(vars(module))))
    return found


def named_in(name: str) -> frozenset[str]:
    """Modules that a module has among its globals, or has something of."""
    module = sys.modules.get(name)
    return _named_in(name, len(vars(module))) if isinstance(module, types.ModuleType) else frozenset()


@functools.lru_cache(maxsize=4096)
def _named_in(name: str, _size: int) -> frozenset[str]:
    # A module has new globals seldom, and hardly ever without having more of them.
    space = vars(sys.modules[name])
    if not _is_installed_or_own(space.get("__file__")):
        return frozenset()
    found: set[str] = set()
    for value in list(space.values()):
        kind = type(value)
        if issubclass(kind, types.ModuleType):
            named = vars(value).get("__name__")
            # A package has its modules as attributes, whoever has imported them.
            if type(named) is str and not named.startswith(name + "."):
                found.add(named)
        elif kind in (types.FunctionType, types.BuiltinFunctionType) or issubclass(kind, type):
            named = _module_of(value)
            if type(named) is str:
                found.add(named)
    found.discard(name)
    return frozenset(each for one in found if one in sys.modules for each in _with_parents(one))


def on_stack() -> set[str]:
    """Modules whose code has led here: who starts processes gives them tasks of its own."""
    found: set[str] = set()
    frame: types.FrameType | None = sys._getframe()
    while frame is not None:
        name = frame.f_globals.get("__name__")
        if type(name) is str and not name.startswith((_OURS, "__")):
            found.add(name)
        frame = frame.f_back
    return found


def _part(name: str) -> str:
    return ".".join(name.split(".")[:2])


def _module_of(value: Any) -> Any:
    try:
        return value.__module__
    except AttributeError:
        return None


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def _is_installed_or_own(file: Any) -> bool:
    """Whether a module of that file may import a package: the standard library's does not."""
    library = os.path.dirname(os.__file__) + os.sep
    return isinstance(file, str) and (not file.startswith(library) or "-packages" + os.sep in file)


def split(body: bytes) -> tuple[bytes, bytes]:
    """The word, '' for none, and the sealed body of the process."""
    end = _LENGTH + int.from_bytes(body[:_LENGTH], "big")
    return body[_LENGTH:end], body[end:]


def read(session: Session, uid: str, sealed: bytes) -> Wanted:
    """What the word says; nothing if there is none."""
    wanted = Wanted([], {})
    try:
        text = bytes(session.seal.open(_place(uid), sealed)).decode() if sealed else ""
    except UntrustedPayloadError as error:
        session.refused()
        log.warning("a word about a process was ignored: %s", error)
        return wanted
    for line in text.splitlines():
        name, space, file = line.partition(" ")
        if space:
            wanted.modules[name] = file
        elif name.startswith("="):
            wanted = wanted._replace(like=name[1:])
        else:
            wanted.variables.append(name)
    return wanted


def _place(uid: str) -> str:
    return "ahead:" + uid


def _is_one(name: str) -> bool:
    package = name.partition(".")[0]
    # What the program brought along comes from the client.
    return package in AHEAD and not own_modules.is_own(sys.modules.get(package))


def _file(name: str) -> str:
    package = sys.modules.get(name.partition(".")[0])
    return str(getattr(getattr(package, "__spec__", None), "origin", None) or "")
