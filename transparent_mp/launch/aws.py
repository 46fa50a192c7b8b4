"""Workers on AWS Lambda: each is an asynchronous invocation of one function.

The invocation carries the ticket, which is a pointer into the store and the session's secret, never
work. The platform may deliver it twice, and late; `check_in` admits it once, and only while awaited.

    launch   queues the ticket and returns; threads of our own invoke, up to IN_FLIGHT at once
    refused  told through `on_gone` with what to do; throttled ones are tried again until they are late
    explain  a synchronous invocation that asks the function itself what is wrong

Settings are those of every AWS client: profiles, AWS_REGION, AWS_ENDPOINT_URL_LAMBDA, AWS_RETRY_MODE, ...
botocore is imported with the first launch, in a thread. It says nothing of the end of an invocation:
workers tell their client when they leave, and their leases end if they cannot.
"""

from __future__ import annotations

import base64
import json
import os
import random
import threading
import time
from collections import deque
from typing import Any

from transparent_mp import background
from transparent_mp.config import Config
from transparent_mp.hidden import public
from transparent_mp.json_text import dumps
from transparent_mp.launch import hashing
from transparent_mp.launch.clients import code, explain
from transparent_mp.launch.invoking import Invoker
from transparent_mp.launch.launcher import OnGone
from transparent_mp.store.connect import is_here_alone

#: Processes on one worker when no further worker may come: as many as the program starts.
SLOTS = 10_000
#: Invocations on their way at once. AWS answers after some 80 ms; more than these keep one interpreter busy.
IN_FLIGHT = 64
#: Seconds that a thread waits for the next launch: processes that start one after another have one each.
IDLE = 1.0
#: Seconds between attempts of a throttled launch: between a half and a whole of these, doubling.
PAUSE, LONGEST_PAUSE = 0.5, 8.0
#: Seconds that a probe may take: a cold start, and two attempts to reach the store.
PROBE = 30.0
#: Seconds that the session's end waits for requests under way.
CLOSE = 5.0
#: Last lines of a function's log that a message quotes.
TAIL = 6

_REMEDIES = {
    "AccessDeniedException": "these credentials need lambda:InvokeFunction on it",
    "ResourceNotFoundException": "check TRANSPARENT_MP_FUNCTION and the region; "
    "`transparent-mp deploy` makes the function",
    "ResourceNotReadyException": "it is still being set up: try again in a minute",
    "KMSAccessDeniedException": "its role may not decrypt its environment: allow kms:Decrypt on its key",
    "KMSDisabledException": "the key of its environment is disabled: enable it",
    "KMSInvalidStateException": "the key of its environment cannot be used: see its state in KMS",
    "KMSNotFoundException": "the key of its environment is gone: give it another",
    "RequestTooLargeException": "more than the 1 MB that an asynchronous invocation may carry",
    "TooManyRequestsException": "raise its concurrency, or lower TRANSPARENT_MP_WORKERS",
}


class _Launch:
    """One invocation that is to be made."""

    def __init__(self, worker: str, payload: bytes, on_gone: OnGone, until: float) -> None:
        self.worker = worker
        self.payload = payload
        self.on_gone = on_gone
        self.until = until
        self.attempts = 0


class LambdaLauncher:
    """Invokes a function for each worker. Thread-safe."""

    slots = SLOTS
    hint = (
        "the function answers and reaches the store, so its asynchronous invocations wait at AWS: raise its "
        "concurrency, or lower TRANSPARENT_MP_WORKERS, or raise TRANSPARENT_MP_LAUNCH_TIMEOUT"
    )

    def __init__(self, config: Config) -> None:
        self.limit = config.parallelism()
        self._config = config
        self._url = config.worker_redis_url or config.redis_url
        self._hash_seed = hashing.seed() or hashing.LAMBDA_SEED
        self._invoker: Invoker | None = None
        self._making = threading.Lock()
        self._waiting: deque[_Launch] = deque()
        # Of one lock: there is something to launch; whatever else has changed.
        self._given, self._changed = _conditions()
        self._threads = self._idle = 0
        self._closed = False
        self._pid = os.getpid()

    def launch(self, worker: str, ticket: dict[str, Any], on_gone: OnGone) -> None:
        payload = dumps({"ticket": ticket, "hash_seed": self._hash_seed}).encode()
        launch = _Launch(worker, payload, on_gone, time.monotonic() + self._config.launch_timeout)
        with self._given:
            self._waiting.append(launch)
            if len(self._waiting) <= self._idle:
                self._given.notify()
            elif self._threads < IN_FLIGHT:
                self._threads += 1
                background.start(self._serve)

    def explain(self) -> str:
        name = self._config.function
        try:
            answer = _client(name, PROBE).invoke(
                FunctionName=name,
                InvocationType="RequestResponse",
                LogType="Tail",
                Payload=json.dumps({"probe": self._url}).encode(),
            )
            said = json.loads(answer["Payload"].read() or b"{}")
        except Exception as error:  # noqa: BLE001  botocore raises much; each has a message
            return _refusal(name, error)
        if answer.get("FunctionError"):
            log = base64.b64decode(answer.get("LogResult", "")).decode("utf-8", "replace").splitlines()
            tail = "; its log ends: " + " / ".join(log[-TAIL:]) if log else ""
            why = f"{said.get('errorType', 'error')}: {said.get('errorMessage', said)}"
            return f"the function {name} fails ({why}){tail}"
        if said.get("store_error"):
            return f"the function {name} cannot use the store ({said['store_error']}): {self._no_way()}"
        return ""

    def _no_way(self) -> str:
        address = f"TRANSPARENT_MP_WORKER_REDIS_URL (now {public(self._url)})"
        if is_here_alone(self._url):
            return f"{address} must be an address by which other machines reach it, not each machine's own"
        return (
            "it must be in a VPC with a route to it, and the security groups must let the function out and "
            f"the store's port in; {address} is the address that workers use"
        )

    def let_go(self) -> None:
        """Workers see the end of a client by its lease; a forked child launches for nobody."""
        self._closed = True
        self._waiting = deque()
        self._given, self._changed = _conditions()

    def close(self) -> None:
        if os.getpid() != self._pid:
            return
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._given.notify_all()
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._threads, CLOSE)
        if self._invoker is not None:
            self._invoker.close()

    def _serve(self) -> None:
        """Body of a thread: launches until there have been none for a while."""
        while True:
            with self._given:
                if not self._waiting:
                    self._idle += 1
                    self._changed.notify_all()
                    self._given.wait_for(lambda: self._waiting or self._closed, IDLE)
                    self._idle -= 1
                if not self._waiting:
                    self._threads -= 1
                    self._changed.notify_all()
                    return
                launch = self._waiting.popleft()
            why = self._invoke(launch)
            if why:
                launch.on_gone(launch.worker, why)

    def _invoke(self, launch: _Launch) -> str:
        """Invoke, again while throttled; '' or why it was refused."""
        name = self._config.function
        while True:
            try:
                self._ready_invoker().send(launch.payload)
            except Exception as error:  # noqa: BLE001  botocore raises much; each has a message
                if code(error) != "TooManyRequestsException" or not self._pause(launch):
                    return _refusal(name, error)
            else:
                return ""

    def _pause(self, launch: _Launch) -> bool:
        """Wait before the next attempt; False when it would be too late."""
        pause = min(LONGEST_PAUSE, PAUSE * 2**launch.attempts) * random.uniform(0.5, 1)  # noqa: S311
        launch.attempts += 1
        if time.monotonic() + pause > launch.until:
            return False
        with self._changed:
            self._changed.wait_for(lambda: self._closed, pause)
            return not self._closed

    def _ready_invoker(self) -> Invoker:
        with self._making:
            if self._invoker is None:
                self._invoker = Invoker(_client(self._config.function), self._config.function)
            return self._invoker


def _conditions() -> tuple[threading.Condition, threading.Condition]:
    lock = threading.Lock()
    return threading.Condition(lock), threading.Condition(lock)


def _client(function: str, timeout: float | None = None) -> Any:
    from botocore.config import Config as Settings
    from botocore.session import Session

    session = Session()
    settings: dict[str, Any] = {
        "max_pool_connections": IN_FLIGHT,
        # What a launch has always been given is right, and who we are does not change between two of them.
        "parameter_validation": False,
        "user_agent": _user_agent(session),
    }
    if session.get_config_variable("retry_mode") in (None, "legacy"):
        settings["retries"] = {"mode": "standard"}
    if timeout is not None:
        settings.update(read_timeout=timeout, retries={"mode": "standard", "total_max_attempts": 2})
    # An ARN says its region; other clients read AWS_REGION, botocore does not.
    region = function.split(":")[3] if function.startswith("arn:") else None
    region = region or session.get_config_variable("region") or os.environ.get("AWS_REGION")
    return session.create_client("lambda", region_name=region, config=Settings(**settings))


def _user_agent(session: Any) -> str:
    """botocore's own, which it would put together anew, twice, for each request."""
    app = session.get_config_variable("user_agent_appid")
    return f"{session.user_agent()} app/{app}" if app else str(session.user_agent())


def _refusal(function: str, error: Exception) -> str:
    remedy = _REMEDIES.get(code(error), "")
    return f"the function {function} is not run: {explain(error)}" + (f"; {remedy}" if remedy else "")
