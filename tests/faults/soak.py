"""`make soak`: messages for many minutes under random faults, every one of them accounted for.

One session all the while. Beside faults of connections, one in a few hundred pieces of traffic, somebody is
killed or frozen, or the server restarted, every few seconds. Ctrl-C ends it early; what there was is judged.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from faults.conftest import Server
from faults.making import Family
from faults.proxy import Proxy, Seeded
from faults.runs import BOUND, ask, in_directory, start, stop

#: Pieces of traffic of which one suffers.
RATE = 1 / 400
#: Seconds between two of the others.
EVERY = (0.5, 3.0)
#: Seconds of a round without which it hangs.
ROUND = 180.0
LEASE = 20.0
#: What happens, and how often.
HAPPENINGS = {
    "cut": 5,
    "outage": 3,
    "kill process": 4,
    "kill worker": 1,
    "freeze process": 3,
    "freeze worker": 2,
    "freeze client": 1,
    "freeze server": 1,
    "restart": 1,
}


class Troublemaker:
    """Makes them, in a thread of its own, until it is told to stop."""

    def __init__(self, seed: int, proxy: Proxy, server: Server, family: Family) -> None:
        self.happened: Counter[str] = Counter()
        self._chance = random.Random(seed)
        self._proxy, self._server, self._family = proxy, server, family
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        proxy.stall = 0.2
        proxy.plan = Seeded(seed, RATE)
        self._thread.start()

    def end(self) -> None:
        self._proxy.plan = None
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._chance.uniform(*EVERY)):
            what = self._chance.choices(list(HAPPENINGS), list(HAPPENINGS.values()))[0]
            if self._make(what, self._chance.uniform(0.05, 1.0)):
                self.happened[what] += 1

    def _make(self, what: str, seconds: float) -> bool:
        if what == "cut":
            self._proxy.cut()
        elif what == "outage":
            self._proxy.refuse()
            self._stop.wait(seconds)
            self._proxy.accept()
        elif what == "restart":
            self._server.kill()
            self._stop.wait(seconds)
            self._server.start()
        else:
            return self._befall(*what.split(), seconds)
        return True

    def _befall(self, how: str, whom: str, seconds: float) -> bool:
        pids = sorted(pid for pid, kind in self._family.kinds().items() if kind == whom)
        if whom == "process":
            # The last ones forked are spares, which wait for something to do.
            pids = pids[:-2] or pids
        if whom == "server":
            pids = [self._server.pid]
        if not pids:
            return False
        pid = self._chance.choice(pids)
        if how == "kill":
            return stop(pid, signal.SIGKILL)
        if not stop(pid, signal.SIGSTOP):
            return False
        self._stop.wait(seconds)
        return stop(pid, signal.SIGCONT)


class Soak:
    """What the program says, round by round."""

    def __init__(self) -> None:
        self.rounds = self.messages = self.killed = 0
        self.wrong: list[str] = []
        self.held: list[list[int]] = []

    def add(self, said: dict[str, Any]) -> None:
        self.rounds += 1
        self.messages += said["messages"]
        self.killed += said["codes"].count(-9)
        self.held.append(said["held"])
        self.wrong += [f"round {self.rounds}: {wrong}" for wrong in said["wrong"]]
        self.wrong += [
            f"round {self.rounds}: exit code {code}" for code in said["codes"] if code not in (0, -9)
        ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--method", default="fork")
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="soak-"))
    (place / "data").mkdir()
    server = Server(place / "data", "--appendfsync", "no")
    server.start()
    begun, soak = time.monotonic(), Soak()
    args = (options.method, str(options.minutes * 60), str(options.seed))
    try:
        with Proxy(("127.0.0.1", server.port)) as proxy, in_directory(place) as directory:
            happened = _run(soak, options.seed, args, proxy, server, directory)
        soak.wrong += _left(server)
    finally:
        server.kill()
        shutil.rmtree(place)
    seconds = time.monotonic() - begun
    print(f"{soak.messages:,} messages in {soak.rounds} rounds and {seconds:.0f} s")
    print("; ".join(f"{what} {times}" for what, times in sorted(happened.items())))
    print(f"{soak.killed} processes ended by it")
    if soak.held:
        print(
            "client's descriptors, threads, kB: after the first round",
            soak.held[0],
            "the last",
            soak.held[-1],
        )
    print(f"lost, doubled, reordered, changed, left behind: {'; '.join(soak.wrong) or 'nothing'}")
    return 1 if soak.wrong else 0


def _run(
    soak: Soak, seed: int, args: tuple[str, ...], proxy: Proxy, server: Server, directory: Path
) -> Counter[str]:
    mark = secrets.token_hex(8)
    program = start("soaking", args, proxy, directory, mark, LEASE)
    family = Family(mark, program.pid)
    makers: list[Troublemaker] = []
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.append(program.stderr.read()))
    reader.start()
    hangs = threading.Timer(ROUND, lambda: _hang(soak, family))
    try:
        for line in program.stdout:
            hangs.cancel()
            soak.add(json.loads(line))
            # A first round without, so that there is a session.
            makers = makers or [Troublemaker(seed, proxy, server, family)]
            if soak.rounds % 20 == 0:
                print(
                    f"{soak.rounds} rounds, {soak.messages:,} messages, {len(soak.wrong)} wrong", flush=True
                )
            hangs = threading.Timer(ROUND, lambda: _hang(soak, family))
            hangs.start()
    except KeyboardInterrupt:
        stop(program.pid, signal.SIGKILL)
        print("cut short")
    finally:
        hangs.cancel()
        for maker in makers:
            maker.end()
        happened = makers[0].happened if makers else Counter()
        happened.update({fault.value: times for fault, times in proxy.happened.items()})
        status = program.wait(BOUND)
        deadline = time.monotonic() + BOUND
        while (left := family.pids()) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in left:
            stop(pid, signal.SIGKILL)
        reader.join(BOUND)
        if status not in (0, -signal.SIGKILL):
            soak.wrong.append(f"the program ended with {status}: {''.join(said)[-2000:]}")
        if left:
            soak.wrong.append(f"{len(left)} processes are left")
    return happened


def _hang(soak: Soak, family: Family) -> None:
    kinds = family.kinds()
    soak.wrong.append(f"round {soak.rounds + 1} hangs; there are {sorted(kinds.values())}")
    for pid in kinds:
        stop(pid, signal.SIGKILL)


def _left(server: Server) -> list[str]:
    deadline = time.monotonic() + 5 * LEASE
    while keys := ask(server, "KEYS", "*"):
        if time.monotonic() > deadline:
            return [f"{len(keys)} keys are left: {keys[:5]}"]
        time.sleep(0.1)
    return []


if __name__ == "__main__":
    sys.exit(main())
