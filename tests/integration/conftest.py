"""Programs under trouble: started, watched and ended from outside, with all that they start."""

from __future__ import annotations

import os
import secrets
import select
import signal
import site
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import pytest
from running import last_words

import transparent_mp
from transparent_mp.store.server import find_binary

PACKAGE = Path(transparent_mp.__file__).resolve().parent
#: Marks every process that a program has started, whatever became of its parents.
MARK = "TMP_TEST_MARK"
#: Seconds for what is done in one or two: the end of what hangs.
LIMIT = 30.0
#: Seconds between looks at what tells nobody when it changes: a process's first line in /proc, a
#: server's number of keys.
LOOK_EVERY = 0.02


@dataclass(frozen=True)
class Ran:
    out: str
    err: str
    status: int


def marked(mark: str) -> dict[int, str]:
    """Command lines of the processes with that mark, by kernel pid; the dead are not among them."""
    found = {}
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # A zombie has no environment any more.
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
    return found


def left_after(mark: str, seconds: float) -> dict[int, str]:
    """The processes with that mark that are still there after so many seconds; returns when none is."""
    deadline = time.monotonic() + seconds
    while True:
        left = marked(mark)
        if not left or time.monotonic() > deadline:
            return left
        for pid in left:
            try:
                fd = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
            os.close(fd)


class Program:
    """A running program. `say` and `hear` are its standard input and output, line by line."""

    def __init__(self, command: list[str], cwd: Path, environ: dict[str, str], mark: str) -> None:
        self.mark = mark
        # A group of its own, as a shell gives it: Ctrl-C is a signal to the group.
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._out = b""

    def hear(self, within: float = LIMIT) -> str:
        """The next line of standard output."""
        stdout: Any = self._process.stdout
        deadline = time.monotonic() + within
        while b"\n" not in self._out:
            if not select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                self._hangs(f"it says nothing within {within} s")
            piece = os.read(stdout.fileno(), 65536)
            if not piece:
                self._hangs("it has ended")
            self._out += piece
        line, _, self._out = self._out.partition(b"\n")
        return line.decode()

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.killpg(self.pid, signal.SIGINT)

    def finish(self, within: float = LIMIT) -> Ran:
        """What it says until its end, which comes in time."""
        try:
            out, err = self._process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            self._hangs(f"it does not end within {within} s")
        return Ran((self._out + out).decode(), err.decode(), self._process.returncode)

    def wait(self, within: float = LIMIT) -> int:
        """Its exit status; what holds its output may live on."""
        return self._process.wait(within)

    def find(self, word: str) -> list[int]:
        """Kernel pids of what it has started whose command line contains the word."""
        return [pid for pid, command in marked(self.mark).items() if word in command]

    def end(self) -> None:
        """Kill what is there, and see that nothing is."""
        for pid in marked(self.mark):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            try:
                pipe.close()  # type: ignore[union-attr]
            except BrokenPipeError:
                continue
        self._process.wait(LIMIT)

    def _hangs(self, what: str) -> None:
        for pid in marked(self.mark):
            os.kill(pid, signal.SIGKILL)
        pytest.fail(f"{what}\n{self._out.decode()}{last_words(self._process)}", pytrace=False)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Start a program with settings (TRANSPARENT_MP_<NAME>), on workers unless `plain`."""
    started: list[Program] = []

    def start(
        text: str, *args: str, plain: bool = False, files: dict[str, str] | None = None, **settings: str
    ) -> Program:
        for name, content in {"app.py": text, **(files or {})}.items():
            (tmp_path / name).write_text(textwrap.dedent(content))
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("TRANSPARENT_MP", "PYTHON"))}
        if str(PACKAGE.parent) not in site.getsitepackages():
            clean["PYTHONPATH"] = str(PACKAGE.parent)
        mark = secrets.token_hex(8)
        ours = {} if plain else {f"TRANSPARENT_MP_{name}": value for name, value in settings.items()}
        door = [] if plain else ["-m", "transparent_mp"]
        command = [sys.executable, "-u", *door, "app.py", *args]
        started.append(Program(command, tmp_path, {**clean, **ours, MARK: mark}, mark))
        return started[-1]

    yield start
    for one in started:
        one.end()


class Redis:
    """A Redis server of the test's own."""

    def __init__(self, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [find_binary(), "--port", str(self.port), "--save", "", "--bind", "127.0.0.1", *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd="/")
        assert self._process.stdout is not None
        while b"Ready to accept connections" not in (line := self._process.stdout.readline()):
            assert line, "the server has ended"
        self.address = f"redis://127.0.0.1:{self.port}"

    def ask(self, *words: str) -> bytes:
        """The reply to one command, as it comes over the wire."""
        with socket.create_connection(("127.0.0.1", self.port), LIMIT) as link:
            link.sendall(" ".join(words).encode() + b"\r\n")
            return link.recv(65536)

    def empty_within(self, seconds: float) -> bool:
        """Whether no key is left, at the latest after so many seconds."""
        deadline = time.monotonic() + seconds
        while self.ask("DBSIZE") != b":0\r\n":
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_EVERY)
        return True

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]


@pytest.fixture
def redis() -> Iterator[Callable[..., Redis]]:
    """Start a server; ended with the test."""
    started: list[Redis] = []

    def start(*options: str) -> Redis:
        started.append(Redis(*options))
        return started[-1]

    yield start
    for one in started:
        one.kill()


@pytest.fixture
def survivors() -> Callable[[str, float], dict[int, str]]:
    """What of a program is still there after so many seconds."""
    return left_after
