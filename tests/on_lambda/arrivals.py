"""How fast the workers of a Pool come through the tests' own Lambda: part of `make launches` (as root).

    pool   a program's, of that many processes: its workers are asked for with the first
    bare   as many launches of the same kind, made beforehand and sent by threads that do nothing else

Each environment is a sandbox with the official runtime client on this machine: the bare client tells how
long they take. They have the lowest priority, since a client elsewhere has a CPU of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from typing import Any

import asking
from lambda_front import BRIDGE, SANDBOX, Front, Function
from lambda_store import store

IN_FLIGHT = (1, 16, 64)
#: Seconds after which those that have come are counted.
LIMIT = 400.0


class Yielding(Function):
    """A function whose environments leave the CPU to whoever else wants it."""

    @property
    def command(self) -> list[str]:
        return ["nice", "-n", "19", *super().command]


def measured(who: str, number: int, in_flight: int, sandboxed: bool, limit: float = LIMIT) -> str:
    """A line on one way of launching them."""
    host = "127.0.0.1"
    if sandboxed:
        # Makes the bridge, on which all is to listen.
        subprocess.run([SANDBOX, "--net", "--", "true"], check=True, timeout=60)
        host = BRIDGE
    with store(host) as address:
        front = Front(Yielding(sandboxed=sandboxed, host=host))
        environ = front.environ(address, WORKERS=str(number), **asking.PATIENT)
        program = asking.started(who, number, in_flight, limit, environ)
        try:
            figures = asking.figures(program)
            return told_by(figures, front, number)
        finally:
            program.kill()
            program.communicate()
            front.close()


def told_by(figures: dict[str, float], front: Any, number: int) -> str:
    at = sorted(one.at for one in front.asked if one.kind == "Event")
    assert len(at) == number, f"{len(at)} invocations, {figures}\n{front.story()}"
    rate = (number - 1) / (at[-1] - at[0])
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
    parser.add_argument("--of", nargs="*", default=("pool", "bare"), choices=asking.ROLES)
    parser.add_argument("--plain", action="store_true", help="environments without a sandbox")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds for those of one line")
    options = parser.parse_args()
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
