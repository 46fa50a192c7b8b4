"""Local workers: processes of this machine, or of wherever the configured command leads.

    WORKER_COMMAND... PYTHON -m transparent_mp.cli.worker

The ticket goes through standard input, since environment and arguments do not pass every command
(ssh, a container) and show in process lists. Standard input stays open: its end tells the worker
at once that the client is gone. Standard error is kept until the worker has checked in, for the
message that says why it did not.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any

from transparent_mp import background
from transparent_mp.config import Config
from transparent_mp.errors import LaunchError
from transparent_mp.hidden import without_addresses
from transparent_mp.json_text import dumps
from transparent_mp.launch import hashing
from transparent_mp.launch.launcher import OnGone

#: Processes side by side on one worker. A program may start more than there are CPUs, as on one
#: machine, and they may wait for each other, so there is no small bound.
SLOTS = 10_000

#: Last lines of a worker's standard error that a message quotes.
TAIL = 15

#: Seconds a worker has to leave at the end of a session before it is killed: it only has to kill
#: its processes and close its connections.
LEAVE = 5.0


class LocalLauncher:
    """Starts workers as subprocesses of the client."""

    slots = SLOTS
    hint = ""

    def __init__(self, config: Config) -> None:
        self.limit = config.parallelism()
        self._command = command(config)
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        #: One that waits for its ticket.
        self._begun: subprocess.Popen[bytes] | None = None
        self._pid = os.getpid()

    def begin(self, session: str) -> None:
        """Start a worker of that session, which `launch` gives its ticket; one that cannot be, it starts."""
        with contextlib.suppress(LaunchError):
            self._begun = self._start(session)

    def launch(self, worker: str, ticket: dict[str, Any], on_gone: OnGone) -> None:
        begun, self._begun = self._begun, None
        process = begun or self._start(ticket["session"])
        self._workers[worker] = process
        assert process.stdin is not None
        # A worker that has ended already is reported by its watcher.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(dumps(ticket).encode() + b"\n")
            process.stdin.flush()
        background.start(self._watch, worker, process, on_gone)

    def _start(self, session: str) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd="/",
                env=_agreeing(environ(), session),
                # The terminal's Ctrl-C reaches processes through the session's keeper.
                start_new_session=True,
                # The program's may keep a worker that is another user from its own directories.
                umask=0o022,
            )
        except OSError as error:
            raise LaunchError(
                error.errno or 0,
                f"cannot start a worker ({error.strerror}): check TRANSPARENT_MP_WORKER_COMMAND",
                error.filename,
            ) from None

    def explain(self) -> str:
        # Its last words come when it ends.
        return ""

    def let_go(self) -> None:
        for process in self._all():
            process.stdin.close()  # type: ignore[union-attr]

    def close(self) -> None:
        if os.getpid() != self._pid:
            return
        workers = self._all()
        for process in workers:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()  # type: ignore[union-attr]
        for process in workers:
            try:
                process.wait(LEAVE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._begun is not None:
            self._begun.stderr.close()  # type: ignore[union-attr]

    def _all(self) -> list[subprocess.Popen[bytes]]:
        return [*self._workers.values(), *filter(None, [self._begun])]

    def _watch(self, worker: str, process: subprocess.Popen[bytes], on_gone: OnGone) -> None:
        tail: deque[str] = deque(maxlen=TAIL)
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                tail.append(line.decode(errors="replace").rstrip())
        status = process.wait()
        # A long session may see many workers come and go.
        self._workers.pop(worker, None)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()  # type: ignore[union-attr]
        said = "; it said: " + " / ".join(tail) if tail else ""
        on_gone(worker, f"its command ended with status {status}{said}")


def command(config: Config) -> list[str]:
    """What starts a worker."""
    # Flags of this interpreter that say what code does; not those that say what it finds.
    given: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    flags = [flag for flag in given if flag in ("-O", "-OO", "-b", "-bb", "-B")]
    return [*shlex.split(config.worker_command), sys.executable, *flags, "-m", "transparent_mp.cli.worker"]


def environ() -> dict[str, str]:
    """What a worker finds in its environment when its command passes that on."""
    environ = without_addresses(os.environ)
    # A worker's interpreter must not take itself for a client.
    environ.pop("TRANSPARENT_MP", None)
    root = str(Path(__file__).parents[2])
    # When the package was found through the program's own sys.path only.
    if root not in (Path(path).as_posix() for path in _site_packages()):
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environ.get("PYTHONPATH"))))
    return environ


def _agreeing(environ: dict[str, str], session: str) -> dict[str, str]:
    """With one hash seed for all workers of a session: processes share out work by hash(name)."""
    # A client that did not come through `python -m transparent_mp` has another, which it cannot tell.
    environ["PYTHONHASHSEED"] = hashing.seed() or str(int(session[:8], 16) % 0xFFFFFFFF + 1)
    return environ


def _site_packages() -> list[str]:
    import site

    return [*site.getsitepackages(), site.getusersitepackages()]
