"""One execution environment of the local Lambda: the official runtime client, in a sandbox.

    COLD -- asks for its first work --> IDLE (frozen) <--> BUSY          any --> GONE

It speaks the Runtime API to `python -m awslambdaric`: `next` waits until there is an invocation, and
while it waits every process of the environment is stopped. What is there at that moment is kept in
`frozen`. An invocation that runs out of time, or a runtime that ends, ends the environment.
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

#: By this each process of an environment is known from outside, whatever became of its parents.
MARK = "LOCAL_LAMBDA_ENVIRONMENT"
API = "/2018-06-01/runtime/"


@dataclass
class Invocation:
    """One delivery of an event to an environment, and what came of it."""

    payload: bytes
    timeout: float
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    begun: float = 0.0
    ended: float = 0.0
    result: bytes = b""
    #: As X-Amz-Function-Error says: '' or Unhandled.
    error: str = ""
    log: str = ""
    done: threading.Event = field(default_factory=threading.Event)
    environment: Any = None

    def end(self, result: bytes, error: str = "") -> None:
        if not self.done.is_set():
            self.ended = time.monotonic()
            self.result, self.error = result, error
            self.done.set()

    def fail(self, kind: str, message: str) -> None:
        self.end(json.dumps({"errorType": kind, "errorMessage": message}).encode(), "Unhandled")


class State(enum.Enum):
    COLD = "cold"
    IDLE = "idle"
    BUSY = "busy"
    GONE = "gone"


@dataclass(frozen=True)
class Frozen:
    """A process as it was when its environment was stopped."""

    command: str
    threads: int


class Environment:
    """Processes, and the Runtime API they talk to. `on_change` is told of every change of state."""

    def __init__(self, function: Any, on_change: Any) -> None:
        self.function = function
        self.state = State.COLD
        self.mark = secrets.token_hex(8)
        #: What was there each time it was frozen.
        self.frozen: list[list[Frozen]] = []
        self.log: deque[str] = deque(maxlen=200)
        self._on_change = on_change
        self._lock = threading.Condition()
        self._given: Invocation | None = None
        self._current: Invocation | None = None
        self._server = _server(function.host, self)
        self._process: subprocess.Popen[bytes] | None = None
        threading.Thread(target=self._serve, daemon=True).start()
        threading.Thread(target=self._begin, daemon=True).start()

    def give(self, invocation: Invocation) -> None:
        """Run it here; at once if idle, else when the runtime is there."""
        with self._lock:
            assert self._given is None
            assert self.state in (State.COLD, State.IDLE)
            invocation.environment = self
            self._given = invocation
            self._lock.notify_all()

    def processes(self) -> list[int]:
        """Kernel ids of what runs in it."""
        return _marked(self.mark)

    def inner(self) -> list[int]:
        """Those of them that are Python's, from the oldest to the youngest."""
        found = [pid for pid in self.processes() if _look_at(pid).command.startswith(sys.prefix)]
        return sorted(found, key=lambda pid: Path(f"/proc/{pid}").stat().st_ctime_ns)

    def kill_one(self, pid: int) -> None:
        _signal(pid, signal.SIGKILL)

    def stop(self) -> None:
        for pid in self.processes():
            _signal(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        for pid in self.processes():
            _signal(pid, signal.SIGCONT)

    def spared(self) -> set[int]:
        """What makes the sandbox: it takes it apart when all in it have ended."""
        return {self._process.pid} if self._process is not None and self.function.sandboxed else set()

    def kill(self, kind: str = "Runtime.ExitError", message: str = "the runtime was killed") -> None:
        """End it with all that runs in it; an invocation under way fails."""
        process, spared = self._process, self.spared()
        self.go_on()
        while pids := [pid for pid in self.processes() if pid not in spared]:
            for pid in pids:
                _signal(pid, signal.SIGKILL)
            time.sleep(0.005)  # the dead leave /proc by themselves and tell nobody
        if process is not None:
            process.wait()
        self._gone(kind, message)

    def _begin(self) -> None:
        time.sleep(self.function.cold_start)
        address = "{}:{}".format(*self._server.server_address[:2])
        # Its process may have to be killed before there is one.
        with self._lock:
            if self.state is State.GONE:
                return
            self._process = process = subprocess.Popen(
                self.function.command,
                env=self.function.environ(address, self.mark),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
            )
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.log.append(line.decode(errors="replace").rstrip("\n"))
        status = process.wait()
        self._gone("Runtime.ExitError", f"RequestId: - Error: Runtime exited with status {status}")

    def _gone(self, kind: str, message: str) -> None:
        with self._lock:
            was, self.state = self.state, State.GONE
            invocation = self._current or self._given
            self._lock.notify_all()
        if invocation is not None:
            invocation.log = "\n".join(self.log)
            invocation.fail(kind, message)
        if was is not State.GONE:
            self._server.shutdown()
            self._server.server_close()
            self._on_change()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def next(self) -> Invocation | None:
        """The runtime asks for work; returns it when there is some, frozen in between."""
        with self._lock:
            if self.state is State.GONE:
                return None
            self.state, self._current = State.IDLE, None
            frozen = self._given is None
            if frozen:
                self.stop()
                seen = [_look_at(pid) for pid in self.processes()]
                # Not what makes the sandbox.
                self.frozen.append([one for one in seen if one.command.startswith(sys.prefix)])
        self._on_change()
        with self._lock:
            self._lock.wait_for(lambda: self._given is not None or self.state is State.GONE)
            if self.state is State.GONE:
                return None
            invocation, self._given = self._given, None
            assert invocation is not None
            self._current, self.state = invocation, State.BUSY
            invocation.begun = time.monotonic()
            if frozen:
                self.go_on()
        timer = threading.Timer(invocation.timeout, self._time_out, [invocation])
        timer.daemon = True
        timer.start()
        return invocation

    def answered(self, number: str, body: bytes, error: str) -> None:
        invocation = self._current
        if invocation is not None and invocation.id == number:
            invocation.log = "\n".join(self.log)
            invocation.end(body, error)

    def failed_to_start(self, body: bytes) -> None:
        """The handler could not be imported; the invocation that it was made for gets the error."""
        with self._lock:
            self._lock.wait_for(lambda: self._given is not None, 10)
            invocation = self._given
        if invocation is not None:
            invocation.log = "\n".join(self.log)
            invocation.end(body, "Unhandled")

    def _time_out(self, invocation: Invocation) -> None:
        if not invocation.done.is_set():
            message = f"{invocation.id} Task timed out after {invocation.timeout:.2f} seconds"
            self.log.append(message)
            self.kill("Sandbox.Timedout", message)


def kill_all(environments: list[Environment]) -> None:
    """End them, all at once: each of two hundred alone looks through the processes of all the others."""
    spared = set().union(*(one.spared() for one in environments))
    for pid in set(_marked(*(one.mark for one in environments))) - spared:
        _signal(pid, signal.SIGKILL)
    for one in environments:
        one.kill()


def _server(host: str, environment: Environment) -> ThreadingHTTPServer:
    class RuntimeApi(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            assert self.path == API + "invocation/next", self.path
            invocation = environment.next()
            if invocation is None:
                self.close_connection = True
                return
            with contextlib.suppress(ConnectionError):
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", invocation.id)
                deadline = (time.time() + invocation.timeout) * 1000
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int(deadline)))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", environment.function.arn)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(invocation.payload)))
                self.end_headers()
                self.wfile.write(invocation.payload)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            words = self.path.removeprefix(API).split("/")
            if words[0] == "init":
                environment.failed_to_start(body)
            else:
                environment.answered(words[1], body, "Unhandled" if words[2] == "error" else "")
            with contextlib.suppress(ConnectionError):
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_args: Any) -> None:
            pass  # a runtime that is killed closes its connection in mid-sentence

    return Server((host, 0), RuntimeApi)


def _marked(*marks: str) -> list[int]:
    wanted = {f"{MARK}={mark}".encode() for mark in marks}
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if not wanted.isdisjoint((entry / "environ").read_bytes().split(b"\0")):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def _look_at(pid: int) -> Frozen:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        return Frozen(command, len(os.listdir(f"/proc/{pid}/task")))
    except OSError:
        return Frozen("", 0)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it has ended meanwhile
