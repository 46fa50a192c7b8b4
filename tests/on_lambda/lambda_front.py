"""A local Lambda: the Invoke API in front of environments that run the official runtime client.

    Event            202, queued until an environment is free; retried twice when the function fails;
                     with `twice`, delivered two times
    RequestResponse  200 with the result, X-Amz-Function-Error and the log's tail; 429 over `concurrency`
    DryRun           204
    404 another function; 413 more than 6 MB, or 1 MB of an Event; whatever `refusals` holds comes first

One environment for each concurrent invocation; idle ones are used again, the latest first.
"""

from __future__ import annotations

import base64
import json
import os
import site
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lambda_environment import MARK, Environment, Invocation, State, kill_all

import transparent_mp

SANDBOX = Path(__file__).resolve().parents[1] / "sandbox" / "sandbox"
PACKAGE = Path(transparent_mp.__file__).resolve().parent
INSTALLED = str(PACKAGE.parent) in site.getsitepackages()
#: This host as environments see it.
BRIDGE = "10.200.0.1"
HANDLER = "transparent_mp.cli.handler.handler"
MB = 1024 * 1024
ASYNC_LIMIT, SYNC_LIMIT = MB, 6 * MB
PREFIX = "/2015-03-31/functions/"


@dataclass
class Function:
    """What a function is configured to be."""

    name: str = "workers"
    handler: str = HANDLER
    memory: int = 1769
    timeout: float = 900.0
    concurrency: int = 1000
    cold_start: float = 0.0
    #: Seconds for which an event waits before it is delivered.
    event_delay: float = 0.0
    #: Deliver no event before so many have come.
    together: int = 0
    #: Deliver each event twice.
    twice: bool = False
    #: Seconds before a failed event is tried again, twice; a minute and two at AWS.
    retry_after: tuple[float, ...] = (0.1, 0.2)
    #: In a sandbox with a network of its own, which reaches this host's `host` alone.
    sandboxed: bool = True
    host: str = BRIDGE
    #: Beside those that every function has.
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:us-east-1:123456789012:function:{self.name}"

    @property
    def command(self) -> list[str]:
        runtime = ["env", "-u", "HOME", sys.executable, "-m", "awslambdaric", self.handler]
        if not self.sandboxed:
            return runtime
        show = ["--ro", sys.prefix, *([] if INSTALLED else ["--ro", str(PACKAGE)])]
        return [str(SANDBOX), "--net", *show, "--", *runtime]

    def environ(self, api: str, mark: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "PYTHONPATH": "" if INSTALLED else str(PACKAGE.parent),
            "LAMBDA_TASK_ROOT": "/var/task",
            "AWS_LAMBDA_RUNTIME_API": api,
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "of-the-function",
            "AWS_SECRET_ACCESS_KEY": "of-the-function",
            "AWS_SESSION_TOKEN": "of-the-function",
            "_HANDLER": self.handler,
            MARK: mark,
            **self.variables,
        }


def plain_environ() -> dict[str, str]:
    """This environment without what Python, AWS' clients or we would read from it."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TRANSPARENT_MP", "PYTHON", "AWS_"))}
    return clean if INSTALLED else {**clean, "PYTHONPATH": str(PACKAGE.parent)}


@dataclass
class Asked:
    """One call of the Invoke API."""

    kind: str
    size: int
    status: int
    at: float = field(default_factory=time.monotonic)


class Front:
    """The service. `url` is what AWS_ENDPOINT_URL_LAMBDA is to be."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.asked: list[Asked] = []
        #: Every delivery, in order.
        self.invocations: list[Invocation] = []
        self.environments: list[Environment] = []
        #: (status, error) with which the next calls are refused.
        self.refusals: deque[tuple[int, str]] = deque()
        #: Set once an event has been delivered.
        self.delivered = threading.Event()
        self._waiting: deque[Invocation] = deque()
        self._lock = threading.RLock()
        self._closed = False
        self._events = threading.Condition()
        self._came = 0
        self._server = _server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def environ(self, store: str, **settings: str) -> dict[str, str]:
        """What a user sets to run a program on it."""
        ours = {"BACKEND": "lambda", "FUNCTION": self.function.name, "REDIS_URL": store, "WORKERS": "4"}
        return {
            **plain_environ(),
            "AWS_ENDPOINT_URL_LAMBDA": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "of-the-user",
            "AWS_SECRET_ACCESS_KEY": "of-the-user",
            "AWS_CONFIG_FILE": "/nowhere",
            "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
            **{f"TRANSPARENT_MP_{name}": value for name, value in {**ours, **settings}.items()},
        }

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._waiting.clear()
        with self._events:
            self._events.notify_all()
        self._server.shutdown()
        self._server.server_close()
        kill_all(self.environments)

    def story(self) -> str:
        """What has happened, for whoever looks for the reason of a failure."""
        began = self.asked[0].at if self.asked else 0.0
        lines = [f"{one.at - began:8.2f} {one.kind} of {one.size} bytes: {one.status}" for one in self.asked]
        for one in self.invocations:
            place = self.environments.index(one.environment)
            times = f"{one.begun - began:8.2f} until {one.ended - began:.2f}"
            lines.append(f"{times} in environment {place}: {one.error} {one.result!r}")
        for place, environment in enumerate(self.environments):
            lines += [f"environment {place} ({environment.state.value}):", *environment.log]
        return "\n".join(lines)

    def alive(self) -> list[Environment]:
        return [one for one in self.environments if one.state is not State.GONE]

    def busy(self) -> list[Environment]:
        return [one for one in self.environments if one.state is State.BUSY]

    @property
    def launches(self) -> list[Invocation]:
        """Deliveries of tickets: not of a probe, which a client sends when its first worker takes long."""
        return [one for one in self.invocations if b'"ticket"' in one.payload]

    def submit(self, payload: bytes) -> None:
        """An Event: answered at once, delivered by and by."""
        with self._events:
            self._came += 1
            self._events.notify_all()
        for _ in range(2 if self.function.twice else 1):
            threading.Thread(target=self._deliver_event, args=(payload,), daemon=True).start()

    def _deliver_event(self, payload: bytes) -> None:
        with self._events:
            self._events.wait_for(lambda: self._came >= self.function.together or self._closed)
        for pause in (self.function.event_delay, *self.function.retry_after):
            time.sleep(pause)
            invocation = self._enqueue(payload)
            self.delivered.set()
            invocation.done.wait()
            if not invocation.error:
                return

    def call(self, payload: bytes) -> Invocation | None:
        """A RequestResponse; None when there is no room."""
        with self._lock:
            if len(self.alive()) >= self.function.concurrency and not self._idle():
                return None
            invocation = self._enqueue(payload)
        invocation.done.wait()
        return invocation

    def _enqueue(self, payload: bytes) -> Invocation:
        invocation = Invocation(payload, self.function.timeout)
        with self._lock:
            self._waiting.append(invocation)
        self._place()
        return invocation

    def _idle(self) -> list[Environment]:
        return [one for one in self.environments if one.state is State.IDLE and one._given is None]

    def _place(self) -> None:
        """Give what waits to environments, as far as there may be some."""
        with self._lock:
            while self._waiting and not self._closed:
                idle = self._idle()
                if idle:
                    environment = idle[-1]
                elif len(self.alive()) < self.function.concurrency:
                    environment = Environment(self.function, self._place)
                    self.environments.append(environment)
                else:
                    return
                invocation = self._waiting.popleft()
                self.invocations.append(invocation)
                environment.give(invocation)


def _server(front: Front) -> ThreadingHTTPServer:
    class InvokeApi(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            payload = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kind = self.headers.get("X-Amz-Invocation-Type", "RequestResponse")
            name = self.path.removeprefix(PREFIX).removesuffix("/invocations")
            name = name.replace("%3A", ":").rpartition("function:")[2].partition(":")[0]
            status = self._invoke(name, kind, payload)
            front.asked.append(Asked(kind, len(payload), status))

        def _invoke(self, name: str, kind: str, payload: bytes) -> int:
            try:
                status, code = front.refusals.popleft()
            except IndexError:
                pass
            else:
                return self._error(status, code)
            if name != front.function.name:
                return self._error(404, "ResourceNotFoundException")
            if len(payload) > (ASYNC_LIMIT if kind == "Event" else SYNC_LIMIT):
                return self._error(413, "RequestTooLargeException")
            if kind == "DryRun":
                return self._answer(204, b"", {})
            if kind == "Event":
                front.submit(payload)
                return self._answer(202, b"", {})
            invocation = front.call(payload)
            if invocation is None:
                return self._error(429, "TooManyRequestsException")
            headers = {"X-Amz-Executed-Version": "$LATEST"}
            if invocation.error:
                headers["X-Amz-Function-Error"] = invocation.error
            if self.headers.get("X-Amz-Log-Type") == "Tail":
                headers["X-Amz-Log-Result"] = base64.b64encode(invocation.log.encode()[-4096:]).decode()
            return self._answer(200, invocation.result, headers)

        def _error(self, status: int, code: str) -> int:
            body = json.dumps({"Type": "User", "message": f"refused with {code}"}).encode()
            return self._answer(status, body, {"x-amzn-errortype": code})

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> int:
            self.send_response(status)
            for key, value in {**headers, "Content-Type": "application/json"}.items():
                self.send_header(key, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return status

        def log_message(self, *_args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

    return Server(("127.0.0.1", 0), InvokeApi)
