"""How fast workers are launched: `make launches`.

    invokes per second at 1, 16 and 64 in flight      the launcher, and beside it a client that only sends
                                                      the same bytes, which is what the front can take
    seconds until the last of 200 has checked in      the launcher; a worker is what checks in, no more

The front runs in a process of its own, and answers after 80 ms, as AWS does.
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lambda_front import Front, Function

from transparent_mp.config import Config
from transparent_mp.launch import aws
from transparent_mp.launch.fleet import Fleet
from transparent_mp.store.keys import FIRST_PID
from transparent_mp.store.session import join, open_session

#: Seconds after which AWS answers an invocation.
ANSWER = 0.08
USUAL = aws.IN_FLIGHT
PATH = "/2015-03-31/functions/workers/invocations"


class Bare(Front):
    """Environments are a check-in each, from a thread."""

    def submit(self, payload: bytes) -> None:
        time.sleep(ANSWER)
        ticket = json.loads(payload)["ticket"]
        if "session" in ticket:
            threading.Thread(target=check_in, args=(ticket,), daemon=True).start()


def check_in(ticket: dict[str, Any]) -> None:
    from transparent_mp.worker.membership import Membership

    session = join(ticket, ticket["worker"], Config())
    Membership(session, ticket).check_in()
    session.store.settle()
    session.store.close()


@contextmanager
def front() -> Iterator[str]:
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def sent_bare(url: str, number: int, in_flight: int) -> float:
    """Seconds that the front takes for so many requests of the same size."""
    payload = json.dumps({"ticket": {"filler": "x" * 400}})
    left = list(range(number))

    def send() -> None:
        link = http.client.HTTPConnection(url.partition("//")[2])
        while left:
            left.pop()
            link.request("POST", PATH, payload, {"X-Amz-Invocation-Type": "Event"})
            link.getresponse().read()
        link.close()

    begun = time.perf_counter()
    threads = [threading.Thread(target=send) for _ in range(in_flight)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun


def launched(config: Config, number: int, in_flight: int) -> float:
    """Seconds that the launcher takes for so many."""
    aws.IN_FLIGHT = in_flight
    launcher = aws.LambdaLauncher(config)
    launcher._ready_client()
    begun = time.perf_counter()
    for place in range(number):
        launcher.launch(str(place), {"filler": "x" * 400}, lambda *told: sys.exit(str(told)))
    with launcher._changed:
        launcher._changed.wait_for(lambda: not launcher._threads)
    return time.perf_counter() - begun


def until_all_are_there(config: Config, number: int) -> tuple[float, int]:
    """Seconds from the first process that waits until the last worker has checked in; how many there are."""
    session = open_session(config)
    fleet = Fleet(session, aws.LambdaLauncher(config))
    fleet.launcher._ready_client()  # type: ignore[attr-defined]
    parts = ("pids", "workers", "starting", "ready", "keys")
    begun = time.perf_counter()
    for place in range(number):
        args = (session.keys.base, f"uid{place}", session.uid, "p", b"", session.ttl, FIRST_PID, number)
        _pid, _given, *counts = session.store.ask(*session.script("submit", parts, args))
        fleet.want(*counts)
    inbox = session.keys("inbox", session.client)
    # Fewer than processes when one that was there in time has taken two.
    workers = len(fleet._states)
    for _ in range(workers):
        session.store.pop(inbox)
    seconds = time.perf_counter() - begun
    fleet.close()
    fleet.launcher.close()
    session.end()
    return seconds, workers


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        print(Bare(Function()).url, flush=True)
        sys.stdin.read()
        os._exit(0)
    with front() as url:
        os.environ.update(AWS_ENDPOINT_URL_LAMBDA=url, AWS_REGION="us-east-1")
        os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="y", AWS_CONFIG_FILE="/nowhere")
        config = Config(backend="lambda", function="workers", workers=options.workers)
        number = options.workers
        for in_flight in (1, 16, 64):
            ours, bare = launched(config, number, in_flight), sent_bare(url, number, in_flight)
            rates = f"{number / ours:6.0f} invokes/s, the front alone {number / bare:6.0f}/s"
            print(f"{in_flight:3} in flight: {rates}", flush=True)
        aws.IN_FLIGHT = USUAL
        seconds, workers = until_all_are_there(config, number)
        print(f"{workers} workers: the last has checked in after {seconds:.2f} s")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
