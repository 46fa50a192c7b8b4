"""Preparation data of a spawned process, where it may run on another machine.

The data is the standard library's, plus `main_digest` (of the main script) and `hidden` (see `shadows`).
`prepare` differs in three points: the worker keeps its own sys.path behind the program's directories; a
directory or script that is not here is done without, the script being asked of the client; and an extra key
`transparent_mp`, the ticket of a manager's server, makes that process join the session.

It does not start anything, and does not know how the client is asked.
"""

from __future__ import annotations

import contextlib
import hashlib
import linecache
import marshal
import os
import re
import sys
import threading
import types
from collections.abc import Iterator
from importlib.util import MAGIC_NUMBER, decode_source

# The hook imports this module before it changes multiprocessing.spawn: these are the originals.
from multiprocessing import process, spawn, util
from multiprocessing.spawn import get_preparation_data as _get_preparation_data
from typing import Any, Callable

from transparent_mp import shadows
from transparent_mp.originals import original
from transparent_mp.primitives import session as sessions

_INSTALLED = re.compile(r"(site-packages|dist-packages|lib-dynload|python\d\.?\d+|python\d+\.zip)$")
#: Bytes in front of the code in a .pyc file (PEP 552).
_BYTECODE_HEADER = 16


class _PassingOn(threading.local):
    """The ticket for a real child that is being started in this thread."""

    ticket: dict[str, Any] | None = None


_passing_on = _PassingOn()


@contextlib.contextmanager
def passing_on(ticket: dict[str, Any]) -> Iterator[None]:
    """Preparation data made in this block admit their process to the session."""
    _passing_on.ticket = ticket
    try:
        yield
    finally:
        _passing_on.ticket = None


def get_preparation_data(name: str) -> dict[str, Any]:
    """The standard library's, plus the digest of the main script, and the ticket of a real child."""
    data: dict[str, Any] = _get_preparation_data(name)
    if _passing_on.ticket is not None:
        data["transparent_mp"] = _passing_on.ticket
    if shadows.names():
        data["hidden"] = sorted(shadows.names())
    path = data.get("init_main_from_path")
    if path and os.path.isfile(path):
        with open(path, "rb") as file:
            data["main_digest"] = hashlib.sha256(file.read()).hexdigest()
    return data


def prepare(data: dict[str, Any], *, script: Callable[[str], bytes | None] | None = None) -> None:
    """Make this process what `data` says; `script` asks the client for what is in its main script."""
    if "transparent_mp" in data:
        sessions.attach_ticket(data["transparent_mp"])
    current = process.current_process()
    if "name" in data:
        current.name = data["name"]
    if "authkey" in data:
        current.authkey = data["authkey"]
    if data.get("log_to_stderr"):
        util.log_to_stderr()
    if "log_level" in data:
        util.get_logger().setLevel(data["log_level"])
    if "sys_path" in data:
        sys.path[:] = merged_path(data["sys_path"], sys.path)
    # A real child, which began in another directory, has imported the standard library's for us.
    shadows.step_aside(data.get("hidden", ()))
    if "sys_argv" in data:
        sys.argv = data["sys_argv"]
    if os.path.isdir(data.get("dir") or ""):
        os.chdir(data["dir"])
    if "orig_dir" in data:
        process.ORIGINAL_DIR = data["orig_dir"]  # type: ignore[attr-defined]
    if "start_method" in data:
        # Late: the attribute may be ours by now.
        from multiprocessing import set_start_method

        set_start_method(data["start_method"], force=True)
    if "init_main_from_name" in data:
        spawn._fixup_main_from_name(data["init_main_from_name"])  # type: ignore[attr-defined]
    elif "init_main_from_path" in data:
        _main_from_path(data["init_main_from_path"], data.get("main_digest"), script)


def merged_path(theirs: list[str], own: list[str]) -> list[str]:
    """sys.path of a process: the program's directories, then what is installed here."""
    installed = [entry for entry in theirs if _INSTALLED.search(entry)]
    if all(os.path.exists(entry) for entry in installed if not entry.endswith(".zip")):
        # The client's Python is here too: its order holds.
        front, back = theirs, []
    else:
        front = [entry for entry in theirs if entry not in installed]
        back = [entry for entry in installed if os.path.exists(entry)]
    return list(dict.fromkeys([*front, *own, *back]))


def _main_from_path(path: str, digest: str | None, script: Callable[[str], bytes | None] | None) -> None:
    here = _digest_here(path)
    # Its parent may be a process that never had the file itself, and so knows no digest.
    if script is None or (here is not None and digest in (here, None)) or _is_ipython(path):
        spawn._fixup_main_from_path(path)  # type: ignore[attr-defined]
        return
    content = script(path)
    if content is None:
        raise FileNotFoundError(
            2, "the main script is neither on this worker nor, any more, at the client; put it back", path
        )
    run_main(path, content)


def _is_ipython(path: str) -> bool:
    # The standard library does not run IPython's launch script again, and knows it by this name.
    return os.path.splitext(os.path.basename(path))[0] == "ipython"


def run_main(path: str, content: bytes) -> None:
    """Run the client's main script, source or compiled, as `__mp_main__`, which then is `__main__` too."""
    if content.startswith(MAGIC_NUMBER):
        code = marshal.loads(content[_BYTECODE_HEADER:])  # noqa: S302  sealed
    else:
        code = compile(content, path, "exec", dont_inherit=True)
        # Tracebacks and inspect find the lines by the name the file has at the client.
        text = decode_source(content)
        linecache.cache[path] = len(text), None, text.splitlines(True), path
    spawn.old_main_modules.append(sys.modules["__main__"])
    main: Any = types.ModuleType("__mp_main__")
    main.__file__ = path
    main.__cached__ = None
    sys.modules["__main__"] = sys.modules["__mp_main__"] = main
    exec(code, vars(main))  # noqa: S102


def _digest_here(path: str) -> str | None:
    try:
        # Not the client's file, which the standard library's runpy could not run.
        with original("builtins", "open")(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return None
