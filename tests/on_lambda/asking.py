"""A program that asks for Lambda workers, for the benchmarks: a script that prints figures as JSON lines.

    pool        multiprocessing.Pool of so many processes
    processes   so many times Process.start()
    bare        as many launches of the same kind, made beforehand and sent by threads that do nothing else

When all have been asked for, and when the last worker has checked in, it says after how many seconds
that was, and waits to be killed: what checks in need not be more than that.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transparent_mp.config import Config
from transparent_mp.json_text import dumps
from transparent_mp.launch import aws, hashing
from transparent_mp.launch.fleet import Fleet, State
from transparent_mp.launch.launcher import OnGone
from transparent_mp.store.session import open_session

PATH = "/2015-03-31/functions/workers/invocations"
#: What waits for a CPU is not to be taken for dead.
PATIENT = {"LEASE": "600", "LAUNCH_TIMEOUT": "600", "LINGER": "600"}


class Recorder:
    """A launcher that keeps what it is to send."""

    limit = None
    slots = aws.SLOTS
    hint = ""

    def __init__(self) -> None:
        self.payloads: list[str] = []

    def launch(self, _worker: str, ticket: dict[str, Any], _on_gone: OnGone) -> None:
        self.payloads.append(dumps({"ticket": ticket, "hash_seed": hashing.LAMBDA_SEED}))

    def explain(self) -> str:
        return ""

    def let_go(self) -> None:
        self.payloads = []

    close = let_go


def told(**figures: float) -> None:
    print(json.dumps(figures), flush=True)


def told_of_workers(begun: float, number: int, limit: float) -> None:
    """Once as many have checked in."""
    from transparent_mp.primitives import starter

    fleet = starter.current().fleet
    assert fleet is not None
    with fleet._changed:
        states = fleet._states.values()
        fleet._changed.wait_for(lambda: sum(s is State.READY for s in states) == number, limit)
        ready = sum(s is State.READY for s in states)
    told(there=time.monotonic() - begun, ready=ready)
    sys.stdin.readline()


def nothing() -> None:
    """What a process is to do."""


def by_a_pool(number: int, limit: float) -> None:
    import multiprocessing

    begun, cpu = time.monotonic(), time.process_time()
    with multiprocessing.Pool(number):
        told(begun=begun, made=time.monotonic() - begun, cpu=time.process_time() - cpu)
        told_of_workers(begun, number, limit)


def by_processes(number: int, limit: float) -> None:
    import multiprocessing

    processes = [multiprocessing.Process(target=nothing) for _ in range(number)]
    begun, cpu = time.monotonic(), time.process_time()
    for process in processes:
        process.start()
    told(begun=begun, made=time.monotonic() - begun, cpu=time.process_time() - cpu)
    told_of_workers(begun, number, limit)


def by_a_bare_client(number: int, limit: float) -> None:
    session = open_session(Config.from_environ())
    recorder = Recorder()
    fleet = Fleet(session, recorder)
    fleet.want(0, 0, 1, number - 1)
    begun, cpu = time.monotonic(), time.process_time()
    left = list(recorder.payloads)
    address = os.environ["AWS_ENDPOINT_URL_LAMBDA"].partition("//")[2]

    def send() -> None:
        link = http.client.HTTPConnection(address)
        while True:
            try:
                payload = left.pop()
            except IndexError:
                break
            link.request("POST", PATH, payload, {"X-Amz-Invocation-Type": "Event"})
            assert link.getresponse().read() == b""
        link.close()

    threads = [threading.Thread(target=send) for _ in range(aws.IN_FLIGHT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told(begun=begun, made=time.monotonic() - begun, cpu=time.process_time() - cpu)
    inbox, ready, until = session.keys("inbox", session.client), 0, time.monotonic() + limit
    while ready < number and (event := session.store.pop(inbox, until - time.monotonic())):
        ready += b'"ready"' in event[0]
    told(there=time.monotonic() - begun, ready=ready)
    sys.stdin.readline()


ROLES = {"pool": by_a_pool, "processes": by_processes, "bare": by_a_bare_client}


def started(who: str, number: int, in_flight: int, limit: float, environ: Mapping[str, str]) -> Any:
    """The program, begun."""
    door = [] if who == "bare" else ["-m", "transparent_mp"]
    return subprocess.Popen(
        [sys.executable, *door, __file__, who, str(number), str(in_flight), str(limit)],
        env=environ,
        cwd=Path(__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def figures(asking: Any) -> dict[str, float]:
    """All that it has said once workers are there."""
    said: dict[str, float] = {}
    for line in asking.stdout:
        said.update(json.loads(line))
        if "there" in said:
            return said
    raise RuntimeError(f"the program has ended with {asking.wait()}, and had said {said}")


if __name__ == "__main__":
    aws.IN_FLIGHT = int(sys.argv[3])
    ROLES[sys.argv[1]](int(sys.argv[2]), float(sys.argv[4]))
