"""A program on workers, a Redis of the test's own, and a second client of it that has no secret."""

from __future__ import annotations

import ast
import os
import secrets
import select
import site
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from running import last_words

import transparent_mp
from transparent_mp.store.connect import connect
from transparent_mp.store.server import find_binary

PACKAGE = Path(transparent_mp.__file__).resolve().parent
#: Marks every process that a program has started.
MARK = "TMP_TEST_MARK"
#: Seconds for what takes one or two: the end of what hangs.
LIMIT = 60.0
#: Seconds between looks at what tells nobody when it changes.
LOOK_EVERY = 0.02


class Redis:
    """A Redis server of the test's own."""

    def __init__(self, folder: Path, *options: str, tls: tuple[Path, Path] | None = None) -> None:
        self.port, tls_port = _free_port(), _free_port()
        command = [find_binary(), "--port", str(self.port), "--save", "", "--bind", "127.0.0.1", *options]
        if tls is not None:
            certificate, key = tls
            command += ["--tls-port", str(tls_port), "--tls-cert-file", str(certificate)]
            command += ["--tls-key-file", str(key), "--tls-auth-clients", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder)
        assert self._process.stdout is not None
        said = []
        while b"Ready to accept connections" not in (line := self._process.stdout.readline()):
            said.append(line)
            if not line:
                self.refused = b"".join(said).decode()
                self.kill()
                raise RuntimeError(self.refused)
        self.tls_port = tls_port
        self.address = f"redis://127.0.0.1:{self.port}"

    def ask(self, *command: Any, user: str = "") -> Any:
        """The reply to one command."""
        link = connect(f"redis://{user}127.0.0.1:{self.port}")
        link.send([command])
        reply = link.read()
        link.close()
        return reply

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Callable[..., Redis]]:
    started: list[Redis] = []

    def start(*options: str, tls: tuple[Path, Path] | None = None) -> Redis:
        started.append(Redis(tmp_path, *options, tls=tls))
        return started[-1]

    yield start
    for one in started:
        one.kill()


class Reader:
    """Who reads all that goes through a Redis, as any of its clients may that has the right to."""

    def __init__(self, server: Redis, user: str = "") -> None:
        self._link = connect(f"redis://{user}127.0.0.1:{server.port}")
        self._link.send([("MONITOR",)])
        assert self._link.read() == b"OK"
        self._lines: list[bytes] = []
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                line = self._link.read()
            except (OSError, ValueError):
                return
            with self._more:
                self._lines.append(line)
                self._more.notify_all()

    def everything(self) -> bytes:
        with self._more:
            return b"\n".join(self._lines)

    def count(self) -> int:
        """How many commands it has read: what comes later is after these."""
        with self._more:
            return len(self._lines)

    def pushed(self, to: str, holding: bytes = b"", since: int = 0) -> tuple[str, bytes]:
        """Key and value of the next thing pushed to a key that contains `to`."""
        deadline = time.monotonic() + LIMIT
        at = since
        with self._more:
            while True:
                while at < len(self._lines):
                    words = _words(self._lines[at])
                    at += 1
                    if len(words) < 3 or words[0].upper() not in (b"RPUSH", b"LPUSH"):
                        continue
                    if to in words[1].decode() and holding in words[2]:
                        return words[1].decode(), words[2]
                left = deadline - time.monotonic()
                assert left > 0, f"nothing was pushed to {to}"
                self._more.wait(left)

    def close(self) -> None:
        self._link.close()


def _words(line: bytes) -> list[bytes]:
    """The words of a line of MONITOR, behind its time and address."""
    rest = line.partition(b"] ")[2].decode("ascii", "replace")
    words, at = [], 0
    while at < len(rest):
        if rest[at] != '"':
            break
        end = at + 1
        while rest[end] != '"':
            end += 2 if rest[end] == "\\" else 1
        words.append(ast.literal_eval("b" + rest[at : end + 1]))
        at = end + 2
    return words


@pytest.fixture
def reading() -> Iterator[Callable[..., Reader]]:
    readers: list[Reader] = []

    def start(server: Redis, user: str = "") -> Reader:
        readers.append(Reader(server, user))
        return readers[-1]

    yield start
    for one in readers:
        one.close()


class Program:
    """A running program; `ask` says a line and hears one."""

    def __init__(self, command: list[str], cwd: Path, environ: dict[str, str], mark: str) -> None:
        self.mark = mark
        self.cwd = cwd
        # A file: it may say more than a pipe holds before anyone reads.
        self._err = cwd.parent / f"stderr-{mark}"
        with self._err.open("wb") as err:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=err,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._out = b""

    def ask(self, line: str) -> str:
        self.say(line)
        return self.hear()

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        stdout: Any = self._process.stdout
        deadline = time.monotonic() + LIMIT
        while b"\n" not in self._out:
            if not select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                self._hangs("it says nothing")
            piece = os.read(stdout.fileno(), 65536)
            if not piece:
                self._hangs("it has ended")
            self._out += piece
        line, _, self._out = self._out.partition(b"\n")
        return line.decode()

    def finish(self) -> tuple[str, str, int]:
        """Standard output and error that are left, and the status."""
        try:
            out, _ = self._process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            self._hangs("it does not end")
        return (self._out + out).decode(), self._err.read_text(), self._process.returncode

    def processes(self) -> dict[int, tuple[bytes, bytes]]:
        """Command line and environment of all that it has started, and its own, by kernel pid."""
        found = {}
        wanted = f"{MARK}={self.mark}".encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    environ = (entry / "environ").read_bytes()
                    if wanted in environ.split(b"\0"):
                        found[int(entry.name)] = (entry / "cmdline").read_bytes(), environ
                except OSError:
                    continue
        return found

    def end(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                pipe.close()  # type: ignore[union-attr]
            except BrokenPipeError:
                continue
        self._process.wait(LIMIT)

    def _hangs(self, what: str) -> None:
        said = self._out.decode() + last_words(self._process)
        pytest.fail(f"{what}\n{said}\n{self._err.read_text()}", pytrace=False)


@pytest.fixture
def environ() -> dict[str, str]:
    """This environment without what Python or we would read from it."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TRANSPARENT_MP", "PYTHON"))}
    if str(PACKAGE.parent) not in site.getsitepackages():
        clean["PYTHONPATH"] = str(PACKAGE.parent)
    return clean


@pytest.fixture
def program(tmp_path: Path, environ: dict[str, str]) -> Iterator[Callable[..., Program]]:
    """Start a program with settings (TRANSPARENT_MP_<NAME>) in a directory of its own, `project`."""
    started: list[Program] = []

    def start(text: str, **settings: str) -> Program:
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        (folder / "app.py").write_text(textwrap.dedent(text))
        ours = {f"TRANSPARENT_MP_{name}": value for name, value in {"WORKERS": "1", **settings}.items()}
        mark = secrets.token_hex(8)
        command = [sys.executable, "-u", "-m", "transparent_mp", "app.py"]
        started.append(Program(command, folder, {**environ, **ours, MARK: mark}, mark))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture
def session(
    request: pytest.FixtureRequest,
    program: Callable[..., Any],
    redis: Callable[..., Any],
    reading: Callable[..., Any],
) -> Any:
    """The module's APP once its first message was answered, its Redis, and the client without a secret."""
    server = redis()
    reader = reading(server)
    running = program(request.module.APP, REDIS_URL=server.address)
    assert running.hear() == "got first"
    return running, server, reader
