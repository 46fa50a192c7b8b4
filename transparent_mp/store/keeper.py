"""The session's keeper: a small process beside the client that lives as long as the session.

    every third of a lease    renew the session's lease and the life of its keys
    end of its input          the client is gone: end the session, stop the embedded server, leave
    a line "done"             the client has done so itself: leave

It is a process of its own because a client may hold its interpreter's lock for minutes, may be
stopped by Ctrl-Z, and may be killed: none of them may cost the session its lease or leave keys
behind. It imports redis at its first renewal, so a short session never pays for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transparent_mp.store.session import Session

#: Renewals in the time of one lease: two may fail before it is lost.
RENEWALS = 3


def start(session: Session, url: str, server_pid: int) -> subprocess.Popen[bytes]:
    """Start the keeper of `session`; `server_pid` is the embedded server's, or 0."""
    package_root = str(Path(__file__).parents[2])
    code = f"import sys; sys.path[:0] = {[package_root, *_site_paths()]!r}; " \
        "from transparent_mp.store.keeper import main; main()"  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        cwd="/",
        # Neither Ctrl-C nor Ctrl-Z at the terminal is for the keeper.
        start_new_session=True,
    )
    task = dict(session.ticket(), url=url, server=server_pid, ttl=session.ttl)
    assert process.stdin is not None
    process.stdin.write(json.dumps(task).encode() + b"\n")
    process.stdin.flush()
    return process


def dismiss(process: subprocess.Popen[bytes]) -> None:
    """Tell the keeper that the session has ended well, and see it leave."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(b"done\n")
        process.stdin.flush()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    process.wait()


def main() -> None:
    """Body of the keeper process: its task is the first line of its input."""
    task = json.loads(_read_line())
    pause = task["lease"] / RENEWALS
    due = time.monotonic() + pause
    store: Any = None
    while True:
        readable = select.select([0], [], [], max(0.0, due - time.monotonic()))[0]
        if readable:
            if os.read(0, 64):
                return
            break
        due = time.monotonic() + pause
        store = store or _open(task)
        # A store that cannot be reached now may be back at the next renewal.
        with contextlib.suppress(OSError):
            if not store.ask(*_renewal(task)):
                return
    _clean(task, store)


def _read_line() -> bytes:
    # Unbuffered: what follows the line is read with select.
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece:
            sys.exit(0)
        line += piece
    return line


def _site_paths() -> list[str]:
    # -I -S starts in a third of the time, but without site-packages; redis is found through these.
    return [path for path in sys.path if path and os.path.isdir(path)]


def _open(task: dict[str, Any]) -> Any:
    from transparent_mp.store.connect import connect
    from transparent_mp.store.scripts import loading
    from transparent_mp.store.store import Store

    return Store(lambda: connect(task["url"]), loading())


def _renewal(task: dict[str, Any]) -> tuple[Any, ...]:
    from transparent_mp.store.keys import Keys
    from transparent_mp.store.scripts import script

    keys = Keys(task["session"])
    names = [keys(part) for part in ("alive", "keys", "objects")]
    return script("renew_session", names, (int(task["lease"] * 1000), task["ttl"], keys.any_object))


def _clean(task: dict[str, Any], store: Any) -> None:
    if task["server"]:
        # Its data goes with it, and workers see their connections end.
        with contextlib.suppress(ProcessLookupError):
            os.kill(task["server"], signal.SIGKILL)
        return
    from transparent_mp.store.keys import Keys
    from transparent_mp.store.scripts import script
    from transparent_mp.store.session import END_MS

    keys = Keys(task["session"])
    names = [keys(part) for part in ("alive", "keys", "objects", "workers", "starting")]
    with contextlib.suppress(OSError):
        # What cannot be deleted now expires.
        (store or _open(task)).ask(*script("end_session", names, (keys.base, keys.any_object, END_MS)))
