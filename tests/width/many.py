"""A program of many light processes: they start, meet at a barrier, are asked and answer, and end.

    many.py COUNT WORKERS        WORKERS 0: one for each process, forked by `nursery.py`

Prints what was there when all of them waited at the barrier, and how long each part took.
"""

from __future__ import annotations

import json
import multiprocessing as mp
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from transparent_mp.primitives import starter

NURSERY = Path(__file__).with_name("nursery.py")


class Forking:
    """A launcher: workers are forked by one process that has imported what a worker needs."""

    slots = 1
    hint = ""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        environ = {name: value for name, value in os.environ.items() if name != "TRANSPARENT_MP"}
        environ.setdefault("PYTHONHASHSEED", "0")
        self._nursery = subprocess.Popen(
            [sys.executable, str(NURSERY)], stdin=subprocess.PIPE, env=environ, start_new_session=True
        )
        self._writing = threading.Lock()

    def launch(self, worker: str, ticket: dict[str, Any], on_gone: Any) -> None:
        assert self._nursery.stdin is not None
        with self._writing:
            self._nursery.stdin.write(json.dumps(ticket).encode() + b"\n")
            self._nursery.stdin.flush()

    def explain(self) -> str:
        return ""

    def let_go(self) -> None:
        self._nursery.stdin.close()  # type: ignore[union-attr]

    def close(self) -> None:
        self._nursery.stdin.close()  # type: ignore[union-attr]
        self._nursery.wait()


class Store:
    """What the store says of itself, on a connection of its own."""

    def __init__(self) -> None:
        import redis

        parts = urlsplit(os.environ["TRANSPARENT_MP_REDIS_URL"])
        self._client = redis.Redis(parts.hostname or "", parts.port or 6379, password=parts.password)

    def figures(self) -> dict[str, float]:
        info = self._client.info()
        return {
            "connections": info["connected_clients"],
            "keys": self._client.dbsize(),
            "store_KB": info["used_memory"] / 1024,
            "commands": info["total_commands_processed"],
            "store_s": info["used_cpu_user"] + info["used_cpu_sys"],
        }


def light(here: Any, barrier: Any, orders: Any, answers: Any) -> None:
    here.put(None)
    barrier.wait()
    answers.put(orders.get() + 1)


def mine() -> dict[str, float]:
    """Of the client."""
    status = Path("/proc/self/status").read_text().split()
    return {
        "client_threads": int(status[status.index("Threads:") + 1]),
        "client_fds": len(os.listdir("/proc/self/fd")),
        "client_MB": int(status[status.index("VmRSS:") + 1]) / 1024,
    }


def main(count: int) -> None:
    # The launcher, connections and threads that any session has.
    first = mp.Process(target=print, args=("",))
    first.start()
    first.join()
    store, took = Store(), {}
    before, own = store.figures(), mine()
    here, orders, answers, barrier = mp.Queue(), mp.Queue(), mp.Queue(), mp.Barrier(count + 1)
    begin = time.monotonic()
    processes = [mp.Process(target=light, args=(here, barrier, orders, answers)) for _ in range(count)]
    for process in processes:
        process.start()
    took["start_s"] = time.monotonic() - begin
    for _ in processes:
        here.get()
    took["all_there_s"] = time.monotonic() - begin
    full, own_full = store.figures(), mine()
    begin = time.monotonic()
    barrier.wait()
    took["barrier_s"] = time.monotonic() - begin
    begin = time.monotonic()
    for number in range(count):
        orders.put(number)
    assert sorted(answers.get() for _ in processes) == list(range(1, count + 1))
    took["messages_s"] = time.monotonic() - begin
    begin = time.monotonic()
    for process in processes:
        process.join()
    assert {process.exitcode for process in processes} == {0}
    took["join_s"] = time.monotonic() - begin
    after = store.figures()
    each = {name: (full[name] - before[name]) / count for name in ("connections", "keys", "store_KB")}
    each["commands"] = (after["commands"] - before["commands"]) / count
    each["store_ms"] = (after["store_s"] - before["store_s"]) / count * 1000
    each |= {name: (own_full[name] - own[name]) / count for name in own}
    print(json.dumps({"processes": count, **took, **each}))


if __name__ == "__main__":
    if sys.argv[2] == "0":
        starter._launcher = lambda _session: Forking(int(sys.argv[1]))
    main(int(sys.argv[1]))
