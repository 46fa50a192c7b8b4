"""`make width`: sessions of 125 to 1,000 processes on this machine, each on a worker of its own.

What belongs to one process (connections, memory of the store, commands) must not grow with their number:
twice as much with all of them as with the fewest is a failure.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from transparent_mp.store import server

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COUNTS = (125, 250, 500, 1000)
#: Of one process, and how much is too little to be compared.
EACH = {"connections": 1, "keys": 1, "store_KB": 5, "commands": 10, "client_threads": 0.1, "client_fds": 0.5}
#: One session may take so long: processes wait for the two CPUs, not for each other.
PATIENCE = 600


def measured(count: int, workers: int) -> dict[str, Any]:
    """What one session of that many processes has shown."""
    store = server.start()
    try:
        environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TRANSPARENT_MP_REDIS_URL": store.url,
            "TRANSPARENT_MP_WORKERS": str(workers or count),
            "TRANSPARENT_MP_LEASE": "60",
            "TRANSPARENT_MP_LAUNCH_TIMEOUT": "300",
        }
        words = [sys.executable, "-m", "transparent_mp", str(HERE / "many.py"), str(count), str(workers)]
        ran = subprocess.run(
            words, env=environ, stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True
        )
        return dict(json.loads(ran.stdout.splitlines()[-1]))
    finally:
        store.stop()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("counts", nargs="*", type=int, help=f"processes; default {COUNTS}")
    parser.add_argument(
        "--workers", type=int, default=0, help="that share them; default one for each process"
    )
    options = parser.parse_args()
    counts = sorted(options.counts or COUNTS)
    found = []
    for count in counts:
        found.append(measured(count, options.workers))
        if len(found) == 1:
            print(f"| {' | '.join(found[0])} |", f"|{' --- |' * len(found[0])}", sep="\n")
        print("|", " | ".join(f"{value:,.4g}" for value in found[-1].values()), "|", flush=True)
    few, many = found[0], found[-1]
    grown = [name for name, least in EACH.items() if many[name] > 2 * few[name] and many[name] > least]
    for name in grown:
        print(f"{name} of a process: {few[name]:.4g} of {counts[0]}, {many[name]:.4g} of {counts[-1]}")
    return len(grown)


if __name__ == "__main__":
    sys.exit(main())
