"""The session's keeper: a small process beside the client that lives as long as the session.

    every third of a lease    renew the session's lease and the life of its keys
    SIGINT, SIGQUIT           a terminal's Ctrl-C, which its whole group gets: pass it on to every process,
                              also to one that is started in this moment
    end of its input          the client is gone: end the session, stop the embedded server, leave
    a line "done"             the client has done so itself: leave

It is a process of its own because a client may hold its interpreter's lock for minutes, may be
stopped by Ctrl-Z, and may be killed: none of them may cost the session its lease or leave keys
behind. It starts the embedded server, whose parent it stays, so that not even a killed process
group leaves one. It imports redis at its first renewal, so a short session never pays for it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from transparent_mp.errors import StoreAwayError, StoreError
from transparent_mp.hidden import Address, Hiding, without_addresses
from transparent_mp.json_text import dumps, loads
from transparent_mp.store import server
from transparent_mp.store.keys import new_id
from transparent_mp.store.server import Server

if TYPE_CHECKING:
    from transparent_mp.config import Config

#: Renewals in the time of one lease.
RENEWALS = 3
#: Life of a key in leases. Longer than the lease, so that a keeper that is late loses nothing.
KEY_LEASES = 3
#: What part of the time between two it waits for an answer: longer, and a connection that has died without a
#: word costs the lease.
PATIENCE = 1 / 2
#: Attempts, in the time between two renewals, when one has failed: nobody tells when the store is back.
ATTEMPTS = 20


class Begun(NamedTuple):
    """A keeper that was started, and what it was told."""

    task: dict[str, Any]
    process: subprocess.Popen[bytes]


def begun(config: Config) -> Begun:
    """Start the keeper of a new session."""
    ttl = int(config.lease * KEY_LEASES * 1000)
    task = Hiding(session=new_id(), url=config.redis_url, lease=config.lease, ttl=ttl)
    return Begun(task, begin(task))


def begin(task: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start the keeper for a session, and do not wait for it.

    `task`: session, url ("" for an embedded server), lease in seconds, ttl in milliseconds.
    """
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    paths = [package, *_site_paths()]
    code = f"import sys; sys.path += {paths!r}; from transparent_mp.store.keeper import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        env=without_addresses(os.environ),
    )
    assert process.stdin is not None
    # One that has ended already is met as such.
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(dumps(task).encode() + b"\n")
        process.stdin.flush()
    return process


def met(process: subprocess.Popen[bytes]) -> str:
    """The store's address, when the keeper has begun.

    Raises StoreError when the embedded server cannot be started.
    """
    assert process.stdout is not None
    with process.stdout:
        line = process.stdout.readline()
    if not line:
        raise StoreError(f"the session's keeper ended with status {process.wait()} instead of starting")
    said = Hiding(loads(line))
    if "error" in said:
        process.wait()
        raise StoreError(said["error"])
    return Address(said["url"])


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
    woken = _listen_to_terminal()
    task = Hiding(loads(_read_line()))
    embedded = None if task["url"] else _serve(task)
    print(dumps({"url": task["url"]}), flush=True)
    try:
        _keep(_Keeper(task, waits=embedded is None), task["lease"] / RENEWALS, woken)
    finally:
        if embedded is not None:
            # Its data goes with it, and workers see their connections end.
            embedded.stop()
    # The client waits for our end, and there is nothing to be taken apart.
    os._exit(0)


def _serve(task: dict[str, Any]) -> Server:
    try:
        embedded = server.start()
    except StoreError as error:
        print(dumps({"error": str(error)}), flush=True)
        sys.exit(1)
    task["url"] = embedded.url
    return embedded


def _keep(keeper: _Keeper, pause: float, woken: int) -> None:
    due = time.monotonic() + pause
    while True:
        readable = select.select([0, woken], [], [], max(0.0, due - time.monotonic()))[0]
        if woken in readable:
            for number in os.read(woken, 64):
                keeper.run(keeper.interruption(number))
        elif readable:
            if not os.read(0, 64):
                keeper.clean(pause / ATTEMPTS)
            return
        else:
            answer = keeper.renew()
            if answer == 0:
                return
            due = time.monotonic() + (pause if answer else pause / ATTEMPTS)


def _listen_to_terminal() -> int:
    # Ctrl-Z and a closing terminal must not stop or end the keeper; Ctrl-C is only passed on.
    for ignored in (signal.SIGTSTP, signal.SIGHUP, signal.SIGTTOU, signal.SIGTTIN):
        signal.signal(ignored, signal.SIG_IGN)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for passed_on in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(passed_on, lambda *_: None)
    return reader


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
    # -I -S starts in a third of the time, but without site-packages; redis is found through these. They come
    # last, for what the program has beside its script may hide the standard library's.
    return [path for path in sys.path if path and os.path.isdir(path)]


class _Keeper:
    """What the keeper does in the store; imports it when there is something to do.

    `waits`: the store may be away, and come back.
    """

    def __init__(self, task: dict[str, Any], *, waits: bool) -> None:
        from transparent_mp.store.keys import Keys

        self._patience = task["lease"] if waits else 0.0
        self._task = task
        self._keys = Keys(task["session"])
        self._store: Any = None

    def renew(self) -> Any:
        """As run(); it may come twice, and so is not waited for on a connection that says nothing."""
        patience = self._task["lease"] / RENEWALS * PATIENCE
        return self._run(lambda store: store.insist(self.renewal(), patience))

    def run(self, command: tuple[Any, ...]) -> Any:
        """The script's answer, or None when the store cannot be reached now, or has perhaps not heard it."""
        return self._run(lambda store: store.ask(*command))

    def _run(self, ask: Callable[[Any], Any]) -> Any:
        from transparent_mp.store.connect import connect
        from transparent_mp.store.scripts import loading
        from transparent_mp.store.store import Store

        try:
            if self._store is None:
                self._store = Store(lambda: connect(self._task["url"]), loading())
            # A connection that was lost since is not to cost this command: seen, it is made anew.
            with contextlib.suppress(StoreAwayError):
                self._store.mend()
            return ask(self._store)
        except OSError:
            return None

    def renewal(self) -> tuple[Any, ...]:
        lease = int(self._task["lease"] * 1000)
        parts = ("alive", "keys", "objects", "answers")
        return self._script("renew_session", parts, (lease, self._task["ttl"], self._keys.any_object))

    def interruption(self, number: int) -> tuple[Any, ...]:
        return self._script("interrupt", ("workers",), (self._keys.base, number, self._task["ttl"]))

    def clean(self, pause: float) -> None:
        """End the session; a store that is away is waited for as long as the lease lasts."""
        from transparent_mp.store.session import END_MS

        parts = ("alive", "keys", "objects", "workers", "starting", "answers")
        end = self._script("end_session", parts, (self._keys.base, self._keys.any_object, END_MS))
        deadline = time.monotonic() + self._patience
        while self.run(end) is None and time.monotonic() < deadline:
            time.sleep(pause)

    def _script(self, name: str, parts: tuple[str, ...], args: tuple[Any, ...]) -> tuple[Any, ...]:
        from transparent_mp.store.scripts import script

        return script(name, [self._keys(part) for part in parts], args)
