"""A process is given to a worker that has just ended, and nobody has noticed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any, Callable

#: Seconds: the end of what hangs.
LIMIT = 60.0
#: Seconds between looks at what tells nobody when it changes.
LOOK_EVERY = 0.02

#: What stands in for a worker's command stays when the worker ends, so that nobody sees it.
HIDES = """
    import subprocess, sys
    subprocess.run(sys.argv[1:])
    sys.stdin.buffer.raw.read()
    """

PROGRAM = """
    import multiprocessing as mp, os, sys

    def work(conn, number):
        with open("/proc/self/stat") as stat:
            conn.send((number, int(stat.read().split()[3])))

    if __name__ == "__main__":
        here, there = mp.Pipe(duplex=False)
        for number in range(2):
            process = mp.Process(target=work, args=(there, number))
            process.start()
            if number == 0:
                process.join()
                print(*here.recv(), flush=True)
                sys.stdin.readline()
            else:
                print("started", flush=True)
        process.join()
        print(process.exitcode, *here.recv())
    """


def test_another_one_runs_it(program: Callable[..., Any], redis: Any, tmp_path: Path) -> None:
    server = redis()
    hides = tmp_path / "hides.py"
    settings = {
        "REDIS_URL": server.address,
        "WORKERS": "1",
        "LEASE": "2",
        "WORKER_COMMAND": f"python3 {hides}",
    }
    running = program(PROGRAM, files={hides.name: HIDES}, **settings)
    first, worker = map(int, running.hear().split())
    assert first == 0
    ports = _ports(worker)
    assert ports
    os.kill(worker, signal.SIGKILL)
    # Its wait for something to do ends with its connection.
    deadline = time.monotonic() + LIMIT
    while any(b"addr=127.0.0.1:%d " % port in server.ask("CLIENT", "LIST") for port in ports):
        assert time.monotonic() < deadline
        time.sleep(LOOK_EVERY)
    running.say("on")
    assert running.hear(LIMIT) == "started"
    ran = running.finish(LIMIT)
    code, second, another = map(int, ran.out.split())
    assert (code, second) == (0, 1)
    assert another != worker
    assert "has not renewed its lease and is given up" in ran.err


def _ports(pid: int) -> list[int]:
    """Of its connections."""
    held = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(line[1].partition(":")[2], 16) for line in lines if f"socket:[{line[9]}]" in held]
