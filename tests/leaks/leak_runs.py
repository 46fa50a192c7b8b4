"""Runs the cases of `leak_cases`, each with a store of its own, and says what has grown beyond tolerance."""

from __future__ import annotations

import json
import os
import site
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import transparent_mp
from transparent_mp.store.server import find_binary

HERE = Path(__file__).parent
PACKAGE = Path(transparent_mp.__file__).resolve().parent

MB = 1 << 20
#: What may be more after a round than before it. Memory: what the interpreter's and Redis' own tables take
#: when they are resized. The others: links and threads are kept for the next who needs one, and how many are
#: needed at once depends on who comes when. What leaks grows with the count of a round.
TOLERANCE = {
    "client_rss": 3 * MB,
    "worker_rss": 2 * MB,
    "store_memory": MB,
    "client_fds": 2,
    "client_threads": 1,
    "worker_fds": 2,
    "worker_threads": 0,
    # A link more has a key and three members more.
    "store_keys": 3,
    "store_members": 9,
    "store_connections": 3,
    "workers": 0,
    # Of whole sessions; code that workers keep for later ones is there after the first.
    "processes": 0,
    "files": 0,
}

#: Case -> count of a round in the tests (0: not there), and in `make leaks`.
COUNTS = {
    "queue_messages": (12_000, 1_000_000),
    "pipe_messages": (0, 1_000_000),
    "queue_large": (40 * MB, 1024 * MB),
    "pipe_large": (0, 1024 * MB),
    "local_primitives": (1300, 10_000),
    "shared_primitives": (260, 10_000),
    "processes": (20, 1000),
    "processes_with_arguments": (0, 100),
    "terminated": (15, 200),
    "killed_workers": (4, 100),
    "pool_tasks": (1000, 20_000),
    "pool_arrays": (0, 500),
    "sessions": (3, 1000),
}

#: Seconds that a program may take: the end of what hangs.
LIMIT = 1800
#: Seconds between looks at a server's number of keys, of which it tells nobody.
LOOK_EVERY = 0.05
#: Seconds within which a session that has ended is gone from the store; its workers' last word stays for ten.
GONE = 30.0

#: Sessions before anything is compared.
WARM = 2

#: One whole session.
SESSION = """
import multiprocessing as mp

def child(queue, lock):
    with lock:
        queue.put("here")

if __name__ == "__main__":
    queue = mp.Queue()
    process = mp.Process(target=child, args=(queue, mp.Lock()))
    process.start()
    assert queue.get() == "here"
    process.join()
"""


class Redis:
    """A server of its own."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [find_binary(), "--port", str(self.port), "--save", "", "--bind", "127.0.0.1"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd="/")
        assert self._process.stdout is not None
        while b"Ready to accept connections" not in (line := self._process.stdout.readline()):
            assert line, "the server has ended"
        self.address = f"redis://127.0.0.1:{self.port}"

    def ask(self, *words: str) -> str:
        with socket.create_connection(("127.0.0.1", self.port), 60) as link:
            link.sendall(" ".join((*words,)).encode() + b"\r\nQUIT\r\n")
            with link.makefile("rb") as file:
                return file.read().decode()

    def state(self) -> dict[str, int]:
        # In one write: see `Server.held` of `leak_cases`.
        said = self.ask("INFO", "memory\r\nCLIENT", "LIST")
        (used,) = (int(line[12:]) for line in said.splitlines() if line.startswith("used_memory:"))
        return {
            "store_memory": used - sum(int(word[8:]) for word in said.split() if word.startswith("tot-mem=")),
            "store_keys": int(self.ask("DBSIZE").splitlines()[0][1:]),
            "store_connections": self.ask("CLIENT", "LIST").count("addr=127.0.0.1"),
        }

    def empty(self) -> dict[str, int]:
        """Its state once it has no keys, or when the time for that is over."""
        deadline = time.monotonic() + GONE
        while (state := self.state())["store_keys"] and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY)
        return state

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]


@contextmanager
def redis() -> Iterator[Redis]:
    server = Redis()
    try:
        yield server
    finally:
        server.kill()


def run(case: str, count: int) -> dict[str, Any]:
    """What the case found: `first`, `last`, `peaks`, `seconds`; `after`: the store without the session."""
    with redis() as server:
        if case == "sessions":
            return _sessions(server, count)
        out = _python(server, str(HERE / "leak_cases.py"), case, str(count))
        found: dict[str, Any] = json.loads(out)
        found["after"] = server.empty()
        return found


def grown(found: dict[str, Any]) -> list[str]:
    """What has grown, in words; nothing if all is well."""
    first, last = found["first"], found["last"]
    complaints = [
        f"{name}: {first[name]:,} -> {last[name]:,}"
        for name in first
        if last[name] - first[name] > TOLERANCE[name]
    ]
    if found["after"]["store_keys"]:
        complaints.append(f"{found['after']['store_keys']} keys are left by the session")
    return complaints


def _sessions(server: Redis, count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        for _ in range(WARM):
            _python(server, "-c", SESSION, TMPDIR=place)
        first, begun = _around(server, place), time.monotonic()
        for _ in range(count):
            _python(server, "-c", SESSION, TMPDIR=place)
        seconds = time.monotonic() - begun
        last = _around(server, place)
    found = {"case": "sessions", "count": count, "first": first, "last": last, "after": last}
    return {**found, "peaks": {}, "seconds": seconds}


def _around(server: Redis, place: str) -> dict[str, int]:
    """What is there of sessions that have ended."""
    state = server.empty()
    state["files"] = sum(1 for _ in Path(place).rglob("*"))
    state["processes"] = 0
    for entry in Path("/proc").iterdir():
        # One that has ended meanwhile is none.
        with suppress(OSError):
            state["processes"] += entry.name.isdigit() and place.encode() in (entry / "environ").read_bytes()
    return state


def _python(server: Redis, *args: str, **around: str) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TRANSPARENT_MP", "PYTHON"))}
    if str(PACKAGE.parent) not in site.getsitepackages():
        clean["PYTHONPATH"] = str(PACKAGE.parent)
    # A threshold that is set stays: else the allocator raises it, and keeps tens of megabytes unused.
    ours = {
        "TRANSPARENT_MP_REDIS_URL": server.address,
        "TRANSPARENT_MP_WORKERS": "2",
        "TRANSPARENT_MP_LINGER": str(LIMIT),
        "MALLOC_MMAP_THRESHOLD_": "131072",
    }
    command = [sys.executable, "-m", "transparent_mp", *args]
    ran = subprocess.run(
        command, env={**clean, **ours, **around}, capture_output=True, timeout=LIMIT, text=True
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr[-2000:]
    return ran.stdout
