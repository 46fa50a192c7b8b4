"""How fast the workers of a Pool come through the tests' own Lambda: part of `make launches` (as root).

    pool   a program's, of that many processes: each is pickled and submitted before a worker is launched
    bare   as many launches of the same kind, made beforehand and sent by threads that do nothing else

Each environment is a sandbox with the official runtime client on this machine: the bare client tells how
long they take. They have the lowest priority, since a client elsewhere has a CPU of its own. A Pool waits for
its first worker before it asks for others, so rates are of those that come after the first.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from lambda_front import BRIDGE, SANDBOX, Front, Function
from lambda_store import store

from transparent_mp.config import Config
from transparent_mp.json_text import dumps
from transparent_mp.launch import aws, hashing
from transparent_mp.launch.fleet import Fleet, State
from transparent_mp.launch.launcher import OnGone
from transparent_mp.store.session import open_session

IN_FLIGHT = (1, 16, 64)
PATH = "/2015-03-31/functions/workers/invocations"
#: What waits for a CPU is not to be taken for dead.
PATIENT = {"LEASE": "600", "LAUNCH_TIMEOUT": "600", "LINGER": "600"}
#: Seconds after which those that have come are counted.
LIMIT = 400.0


class Yielding(Function):
    """A function whose environments leave the CPU to whoever else wants it."""

    @property
    def command(self) -> list[str]:
        return ["nice", "-n", "19", *super().command]


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


def by_a_pool(number: int, in_flight: int, limit: float) -> None:
    import multiprocessing

    from transparent_mp.primitives import starter

    aws.IN_FLIGHT = in_flight
    begun = time.monotonic()
    with multiprocessing.Pool(number):
        told(begun=begun, made=time.monotonic() - begun)
        fleet = starter.current().fleet
        assert fleet is not None
        with fleet._changed:
            states = fleet._states.values()
            fleet._changed.wait_for(lambda: sum(s is State.READY for s in states) == number, limit)
            ready = sum(s is State.READY for s in states)
        told(there=time.monotonic() - begun, ready=ready)
        sys.stdin.readline()


def by_a_bare_client(number: int, in_flight: int, limit: float) -> None:
    session = open_session(Config.from_environ())
    recorder = Recorder()
    fleet = Fleet(session, recorder)
    for _ in range(number):
        fleet._launch()
    begun = time.monotonic()
    left = list(recorder.payloads)
    address = os.environ["AWS_ENDPOINT_URL_LAMBDA"].partition("//")[2]

    def send() -> None:
        link = http.client.HTTPConnection(address)
        while left:
            link.request("POST", PATH, left.pop(), {"X-Amz-Invocation-Type": "Event"})
            assert link.getresponse().read() == b""
        link.close()

    threads = [threading.Thread(target=send) for _ in range(in_flight)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told(begun=begun, made=time.monotonic() - begun)
    inbox, ready, until = session.keys("inbox", session.client), 0, time.monotonic() + limit
    while ready < number and (event := session.store.pop(inbox, until - time.monotonic())):
        ready += b'"ready"' in event[0]
    told(there=time.monotonic() - begun, ready=ready)
    sys.stdin.readline()


def measured(who: str, number: int, in_flight: int, sandboxed: bool, limit: float = LIMIT) -> str:
    """A line on one way of launching them."""
    host = "127.0.0.1"
    if sandboxed:
        # Makes the bridge, on which all is to listen.
        subprocess.run([SANDBOX, "--net", "--", "true"], check=True, timeout=60)
        host = BRIDGE
    door = ["-m", "transparent_mp"] if who == "pool" else []
    words = [sys.executable, *door, __file__, "--as", who, "--workers", str(number), "--limit", str(limit)]
    with store(host) as address:
        front = Front(Yielding(sandboxed=sandboxed, host=host))
        environ = front.environ(address, WORKERS=str(number), **PATIENT)
        asking = subprocess.Popen(
            [*words, "--in-flight", str(in_flight)],
            env=environ,
            cwd=Path(__file__).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            return told_by(asking, front, number)
        finally:
            asking.kill()
            asking.communicate()
            front.close()


def told_by(asking: subprocess.Popen[str], front: Any, number: int) -> str:
    assert asking.stdout is not None
    figures = {}
    for line in asking.stdout:
        figures.update(json.loads(line))
        if "there" in figures:
            break
        print(f"(asked {figures['made']:.2f} s)", end=" ", flush=True)
    at = sorted(one.at for one in front.asked if one.kind == "Event")
    assert len(at) == number, f"{len(at)} invocations, {figures}\n{front.story()}"
    rate = (number - 2) / (at[-1] - at[1])
    first, last = at[0] - figures["begun"], at[-1] - figures["begun"]
    come = "the last has" if figures["ready"] == number else f"{figures['ready']} of them have"
    return (
        f"{rate:5.0f} invokes/s, first after {first:.2f} s, last after {last:.2f} s; "
        f"{come} checked in after {figures['there']:.1f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--in-flight", type=int, nargs="*", default=IN_FLIGHT)
    parser.add_argument("--of", nargs="*", default=("pool", "bare"), choices=("pool", "bare"))
    parser.add_argument("--plain", action="store_true", help="environments without a sandbox")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds for those of one line")
    parser.add_argument("--as", dest="role", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        work = by_a_pool if options.role == "pool" else by_a_bare_client
        work(options.workers, *options.in_flight, options.limit)
        return
    if not options.plain and os.geteuid() != 0:
        print("the workers of a Pool: left out, since sandboxes need root; arrivals.py --plain does without")
        return
    kind = "plain" if options.plain else "sandboxed"
    print(f"{options.workers} {kind} environments of the tests' Lambda on {os.cpu_count()} CPUs")
    for in_flight in options.in_flight:
        for who in options.of:
            print(f"{in_flight:3} in flight, {who}:", end=" ", flush=True)
            print(measured(who, options.workers, in_flight, not options.plain, options.limit), flush=True)


if __name__ == "__main__":
    main()
