"""`python -m transparent_mp.cli.worker`: a worker; its ticket is the first line of its input, or a probe.

A probe is answered on standard output. With a ticket it is patched as a worker, and supervises until
there is nothing to do.
"""

from __future__ import annotations

import json
import logging
import os
import select
import sys
from typing import Any

from transparent_mp.config import Config
from transparent_mp.errors import StoreError
from transparent_mp.hidden import Hiding
from transparent_mp.intercept import install
from transparent_mp.launch.bucket import equip
from transparent_mp.store.session import Session, join, new_id


def main() -> None:
    """Run the worker that standard input describes; exits with status 0 when it was not needed (any more)."""
    # `-m` puts the current directory in front, where a program's own modules may lie.
    sys.path[:] = [path for path in sys.path if path not in ("", os.getcwd())]
    if not select.select([0], [], [], 0)[0]:
        # A client that has begun its first worker makes the session meanwhile.
        prepare()
    ticket = Hiding(json.loads(_read_line(0)))
    if "probe" in ticket:
        from transparent_mp.worker.examination import examine

        print(json.dumps(examine(ticket)))
        return
    log_as(ticket["log"])
    session = join(
        ticket, new_id(), Config(lease=ticket["lease"], log=ticket["log"]), ("worker", ticket["worker"])
    )
    try:
        serve(ticket, session, lifeline=0)
    except StoreError as error:
        sys.exit(str(error))


def serve(ticket: dict[str, Any], session: Session, lifeline: int = -1, life: float | None = None) -> int:
    """Supervise for that ticket, for `life` seconds at most; returns the number of processes run."""
    prepare()
    from transparent_mp.worker import child, membership, supervisor

    why = membership.mismatch(ticket)
    if why:
        membership.refuse(session, ticket, why)
        return 0
    equip(session)
    return supervisor.Supervisor(ticket, session, child.run, lifeline, life).run()


def prepare() -> None:
    """Be patched as a worker, and import what every process needs; a second time does nothing."""
    install(side="worker")
    from transparent_mp.worker import child, preload, supervisor  # noqa: F401  each imports much

    preload.modules()


def log_as(level: str) -> None:
    """Write our own messages to stderr."""
    # Not the root logger: processes inherit it, and how a program logs is its own affair.
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("transparent_mp worker: %(message)s"))
    ours = logging.getLogger("transparent_mp")
    ours.addHandler(handler)
    ours.setLevel(level.upper())
    ours.propagate = False


def _read_line(fd: int) -> bytes:
    # Unbuffered: the end of this input is the worker's lifeline.
    line = bytearray()
    while not line.endswith(b"\n"):
        piece = os.read(fd, 1)
        if not piece:
            sys.exit("a worker is started by a client, which gives it a ticket on standard input")
        line += piece
    return bytes(line)


if __name__ == "__main__":
    main()
    # Its client waits for its end, and all that it has imported takes as long to be taken apart as a process
    # to start.
    sys.stdout.flush()
    os._exit(0)
