"""How fast workers are launched: `make launches`.

    invokes per second at 1, 16 and 64 in flight      the launcher; beside it a client that sends the same
                                                      bytes, and what there would be if neither took any time
    CPU of an invoke                                  in the launcher, in that client, in the front
    seconds until the last of 200 has checked in      the launcher; a worker is what checks in, no more
    the same of programs                              one with a Pool of 200, one with 200 Process.start(),
                                                      and that client with the launches of 200 workers

The front runs in a process of its own and has room: it is one thread, and answers each request so many
milliseconds after it came; AWS takes some tens of them.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable, ClassVar

import asking
from lambda_store import store

from transparent_mp.config import Config
from transparent_mp.launch import aws
from transparent_mp.launch.fleet import Fleet
from transparent_mp.store.keys import FIRST_PID
from transparent_mp.store.session import join, open_session

#: Seconds after which the front answers.
ANSWERS = (0.08, 0.03, 0.01)
IN_FLIGHT = (1, 16, 64)
#: Requests of each that is in flight.
ROUNDS = 12
USUAL = aws.IN_FLIGHT
#: Seconds that the worker of a program takes before it checks in; AWS takes some tenths.
COLD = 0.3
#: Seconds after which the workers of a program that have come are counted.
LIMIT = 60.0
FILLER = {"filler": "x" * 400}
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n"


class Api(asyncio.Protocol):
    """One connection to a function whose environments are a check-in each, from a thread."""

    #: Seconds until it is answered, and until the worker begins to check in.
    answer = cold = 0.0
    #: When each invocation has come, and when each worker has checked in.
    at: ClassVar[list[float]] = []
    there: ClassVar[list[float]] = []

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._read = b""

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"\r\ncontent-length:")[2].split()[0]):
            return
        self._read = b""
        self.at.append(time.monotonic())
        loop, ticket = asyncio.get_running_loop(), json.loads(body)["ticket"]
        loop.call_later(self.answer, self._transport.write, ACCEPTED)
        if "session" in ticket:
            loop.call_later(self.cold, threading.Thread(target=check_in, args=(ticket,), daemon=True).start)


async def serve() -> None:
    """Says its address, then for each line of input its CPU time and what has come since, and when."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Api, "127.0.0.1", 0, backlog=256)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        Api.answer, Api.cold = json.loads(line)
        print(json.dumps([time.process_time(), Api.at, Api.there]), flush=True)
        Api.at.clear()
        Api.there.clear()


def check_in(ticket: dict[str, Any]) -> None:
    from transparent_mp.worker.membership import Membership

    session = join(ticket, ticket["worker"], Config())
    Membership(session, ticket).check_in()
    session.store.settle()
    Api.there.append(time.monotonic())
    session.store.close()


class Front:
    """The other process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = self._said()
        #: When invocations came, and workers checked in, before it was told the last time.
        self.at: list[float] = []
        self.there: list[float] = []

    def is_to_answer_after(self, seconds: float, cold: float = 0.0) -> float:
        """From now on; workers take so long to begin. Returns the CPU time that it has had."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"[{seconds}, {cold}]\n")
        self._process.stdin.flush()
        cpu, self.at, self.there = json.loads(self._said())
        return float(cpu)

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def front() -> Iterator[Front]:
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        yield Front(process)
        process.stdin.close()


def sent_bare(url: str, number: int, in_flight: int) -> None:
    """So many requests of the same size."""
    payload = json.dumps({"ticket": FILLER})
    left = list(range(number))

    def send() -> None:
        link = http.client.HTTPConnection(url.partition("//")[2])
        while left:
            left.pop()
            link.request("POST", asking.PATH, payload, {"X-Amz-Invocation-Type": "Event"})
            link.getresponse().read()
        link.close()

    threads = [threading.Thread(target=send) for _ in range(in_flight)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def launched(launcher: aws.LambdaLauncher, number: int) -> None:
    """So many by the launcher."""
    for place in range(number):
        launcher.launch(str(place), FILLER, lambda *told: os._exit(print(told) or 1))
    with launcher._changed:
        launcher._changed.wait_for(lambda: launcher._threads == launcher._idle and not launcher._waiting)


def measured(work: Callable[[], None]) -> tuple[float, float]:
    """Its seconds, and those of CPU that this process had meanwhile."""
    cpu, begun = time.process_time(), time.perf_counter()
    work()
    return time.perf_counter() - begun, time.process_time() - cpu


def compared(config: Config, there: Front, answer: float, in_flight: int) -> str:
    """A line on both."""
    number = ROUNDS * in_flight
    aws.IN_FLIGHT = in_flight
    launcher = aws.LambdaLauncher(config)
    launcher._ready_invoker()
    before = there.is_to_answer_after(answer)
    ours, our_cpu = measured(lambda: launched(launcher, number))
    between = there.is_to_answer_after(answer)
    bare, bare_cpu = measured(lambda: sent_bare(there.url, number, in_flight))
    after = there.is_to_answer_after(answer)
    cpu = " + ".join(f"{1000 * used / number:.2f}" for used in (our_cpu, between - before))
    beside = " + ".join(f"{1000 * used / number:.2f}" for used in (bare_cpu, after - between))
    rates = f"{number / ours:5.0f} invokes/s of {in_flight / answer:5.0f} ({cpu} ms)"
    return f"{in_flight:3} in flight: {rates}, the front alone {number / bare:5.0f}/s ({beside} ms)"


def until_all_are_there(config: Config, number: int) -> float:
    """Seconds from the first process that waits until the last worker has checked in."""
    session = open_session(config)
    fleet = Fleet(session, aws.LambdaLauncher(config))
    fleet.launcher._ready_invoker()  # type: ignore[attr-defined]
    parts = ("pids", "workers", "starting", "ready", "keys")
    begun = time.perf_counter()
    places = itertools.count()
    # More processes than workers: one that is there in time takes a second.
    while len(fleet._states) < number:
        args = (
            session.keys.base,
            f"uid{next(places)}",
            session.uid,
            "p",
            b"",
            session.ttl,
            FIRST_PID,
            number,
        )
        _pid, _given, *counts = session.store.ask(*session.script("submit", parts, args))
        fleet.want(*counts)
    inbox = session.keys("inbox", session.client)
    for _ in range(number):
        session.store.pop(inbox)
    seconds = time.perf_counter() - begun
    fleet.close()
    fleet.launcher.close()
    session.end()
    return seconds


def of_a_program(there: Front, who: str, number: int, answer: float, address: str) -> str:
    """A line on one."""
    settings = {"BACKEND": "lambda", "FUNCTION": "workers", "WORKERS": str(number), "REDIS_URL": address}
    settings.update(asking.PATIENT)
    environ = {**os.environ, **{f"TRANSPARENT_MP_{name}": value for name, value in settings.items()}}
    before = there.is_to_answer_after(answer, COLD)
    program = asking.started(who, number, USUAL, LIMIT, environ)
    try:
        said = asking.figures(program)
    finally:
        program.kill()
        program.communicate()
    cpu = there.is_to_answer_after(answer) - before
    at, come = sorted(there.at), sorted(there.there)
    assert len(at) == len(come) == said["ready"] == number, f"{len(at)} invocations, {said}"
    # What waits for the first worker waits for a cold start.
    rate, from_second = (number - 1) / (at[-1] - at[0]), (number - 2) / (at[-1] - at[1])
    used = f"{1000 * said['cpu'] / number:.2f} + {1000 * cpu / number:.2f} ms"
    times = f"second {at[1] - at[0]:.2f} s after the first, last {at[-1] - at[0]:.2f} s"
    return (
        f"{who:>9}: {rate:5.0f} invokes/s, {from_second:5.0f} from the second on ({used}), {times}; "
        f"the last has checked in {come[-1] - at[0]:.2f} s after it"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--programs", action="store_true", help="only what programs ask for")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    with front() as there:
        os.environ.update(AWS_ENDPOINT_URL_LAMBDA=there.url, AWS_REGION="us-east-1")
        os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="y", AWS_CONFIG_FILE="/nowhere")
        config = Config(backend="lambda", function="workers", workers=options.workers)
        print("in brackets the CPU of one invoke: of who asks + of the front")
        for answer in () if options.programs else ANSWERS:
            print(f"the front answers after {1000 * answer:.0f} ms")
            for in_flight in IN_FLIGHT:
                print(compared(config, there, answer, in_flight), flush=True)
            aws.IN_FLIGHT = USUAL
            seconds = until_all_are_there(config, options.workers)
            print(f"{options.workers} workers: the last has checked in after {seconds:.2f} s", flush=True)
        print(
            f"programs that ask for {options.workers} workers, {USUAL} in flight, each there after {COLD} s"
        )
        with store("127.0.0.1") as address:
            for answer in ANSWERS:
                print(f"the front answers after {1000 * answer:.0f} ms")
                for who in asking.ROLES:
                    print(of_a_program(there, who, options.workers, answer, address), flush=True)


if __name__ == "__main__":
    main()
