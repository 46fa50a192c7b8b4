"""What a process finds around it on a worker: environment, directory, arguments, module path.

All of it is the client's as it was at `start()`, except what only makes sense on the machine that
it describes. A directory of the client that the worker does not have is still what `getcwd` says.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
import time
import warnings
from typing import Any

from transparent_mp.originals import original
from transparent_mp.primitives import directory, role
from transparent_mp.primitives.spawn import merged_path
from transparent_mp.ship.served import sees_the_same
from transparent_mp.worker.files import functions, state

#: Variables that describe the worker's machine or runtime and stay the worker's.
OWN = ("PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONHOME", "VIRTUAL_ENV", "TMPDIR", "LAMBDA_TASK_ROOT")
#: The same where the client's temporary directory is there.
OWN_WITH_FILES = tuple(name for name in OWN if name != "TMPDIR")
#: And those of the runtime, by prefix.
OWN_PREFIXES = ("AWS_LAMBDA_", "AWS_EXECUTION_ENV", "_HANDLER", "_X_AMZN")


def enter(around: dict[str, Any], address: str = "") -> None:
    """Take the surroundings that `primitives.popen` has described.

    `address`: the store's, for the variables that hold it. What is in the store does not name it.
    """
    files = state.current()
    around["environ"].update(dict.fromkeys(around.get("addresses", ()), str.__str__(address)))
    own = OWN if files is None else OWN_WITH_FILES
    _environ(around["environ"], (*own, *role.kept(around["environ"])))
    os.umask(around["umask"])
    if files is not None and files.places.is_clients(around["cwd"]):
        functions.stand(files, around["cwd"])
        os.environ["PWD"] = around["cwd"]
    else:
        _directory(around["cwd"])
    sys.argv[:] = around["argv"]
    sys.path[:] = merged_path(around["path"], sys.path)
    _streams(around["streams"])
    for number in around["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    if around["warnings"] != sys.warnoptions:
        sys.warnoptions[:] = around["warnings"]
        for option in around["warnings"]:
            warnings._setoption(option)  # type: ignore[attr-defined]
    is_there = files is not None or sees_the_same(around["served"])
    tempfile.tempdir = around["tempdir"] if is_there else None


def place_for_sockets(place: str) -> str:
    """A directory in `place` for the sockets of the process that this one will be; "" if there can be none.

    A socket is bound where the kernel is, whoever else's files are shown to the program.
    """
    if not place:
        return ""
    path = os.path.join(place, f"sockets-{os.getpid()}")
    try:
        os.mkdir(path)
    except FileExistsError:
        # A process that has had that number has left it.
        return path
    except OSError:
        # It looks for one itself when it needs one, and says what is wrong.
        return ""
    return path


def place_sockets(config: dict[str, Any], place: str) -> None:
    """Have a process use that directory for its sockets, unless its parent's is on this machine."""
    if not place and "tempdir" not in config:
        return
    try:
        original("os", "stat")(config.get("tempdir") or "")
    except OSError:
        config.pop("tempdir", None)
        if place:
            config["tempdir"] = place


def _environ(theirs: dict[str, str], own: tuple[str, ...]) -> None:
    here = dict(os.environ)
    changed = {name for name, value in theirs.items() if here.get(name) != value}
    for name in changed.union(here.keys() - theirs.keys()):
        if _own(name, own):
            continue
        if name in theirs:
            os.environ[name] = theirs[name]
        else:
            del os.environ[name]
    if os.environ.get("TZ") != here.get("TZ"):
        time.tzset()


def _own(name: str, own: tuple[str, ...]) -> bool:
    return name in own or name.startswith(OWN_PREFIXES)


def _directory(cwd: str) -> None:
    if not cwd:
        return
    try:
        os.chdir(cwd)
    except OSError:
        # Files of the client are not here; relative paths of a process's own go to the worker's
        # temporary directory, which is the one place that can be written everywhere.
        os.chdir(tempfile.gettempdir())
        directory.stand_in_for(cwd)
        os.environ["PWD"] = cwd


def _streams(like: list[dict[str, Any]]) -> None:
    for name, fd, how in (("stdout", 1, like[0]), ("stderr", 2, like[1])):
        unbuffered = how.get("unbuffered", False)
        raw = open(fd, "wb", 0 if unbuffered else -1, closefd=False)  # noqa: SIM115  as long as the process
        usual = {"encoding": "utf-8", "errors": "backslashreplace" if fd == 2 else "strict"}
        lines = how["line_buffering"] or (fd == 2 and not unbuffered)
        given = {key: value for key, value in how.items() if key != "unbuffered"}
        stream = io.TextIOWrapper(raw, **{**usual, **given, "line_buffering": lines})
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
