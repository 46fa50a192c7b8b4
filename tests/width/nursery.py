"""Forks a worker for each ticket on its standard input; its end ends them.

What a thousand Lambda invocations have each for themselves, code and imported modules, is shared here.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from transparent_mp.cli import worker
from transparent_mp.config import Config
from transparent_mp.hidden import Hiding
from transparent_mp.store.session import join, new_id


def run(line: str, lifeline: int) -> None:
    """Be the worker of that ticket."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ticket = Hiding(json.loads(line))
    config = Config(lease=ticket["lease"], log=ticket["log"])
    session = join(ticket, new_id(), config, ("worker", ticket["worker"]))
    worker.serve(ticket, session, lifeline)


def main() -> None:
    worker.prepare()
    # One that leaves after the end of the session says so.
    worker.log_as("error")
    # The kernel reaps them: nobody waits for one.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    lifeline, end = os.pipe()
    for line in sys.stdin:
        if os.fork() == 0:
            os.close(end)
            status = 1
            try:
                run(line, lifeline)
                status = 0
            finally:
                os._exit(status)
    os.close(end)


if __name__ == "__main__":
    main()
