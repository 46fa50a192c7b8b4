"""A worker's place in its session: it checks in, holds a lease, retires, leaves.

Each step is a script that may refuse: a launch is admitted once, a lease that was given up is not
renewed, and a worker that was just given a process does not leave. A worker that has retired is
given nothing more and keeps what it has.

It does not know processes: the supervisor does.
"""

from __future__ import annotations

import contextlib
import platform
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from transparent_mp.errors import SessionLostError, StoreError, UntrustedPayloadError
from transparent_mp.ship.frames import decode, encode
from transparent_mp.store.scripts import script
from transparent_mp.store.session import Session

#: Waits for the answer to a renewal in the time of one lease. Fewer: a connection that has died without a
#: word costs the lease; more: a store that is slow is connected to again, which does not make it faster.
PATIENCE = 6


def tells_of_the_end(orders: Iterable[bytes]) -> str:
    """What to say of the session if one of a worker's orders is that it has ended, else ''."""
    for order in orders:
        with contextlib.suppress(ValueError, KeyError, UntrustedPayloadError):
            if decode(order)[0]["kind"] == "end":
                return "the session has ended"
    return ""


class Membership:
    """One worker's. Times are of the monotonic clock."""

    def __init__(self, session: Session, ticket: dict[str, Any]) -> None:
        self.host = socket.gethostname()
        self.name: str = ticket["worker"]
        #: When the lease is to be renewed, and when it is over unless it was.
        self.renew_at = self.over_at = 0.0
        self._session = session
        self._ticket = ticket
        self._lease_ms = int(session.lease * 1000)

    def check_in(self) -> bool:
        """Whether this launch is (still) awaited."""
        session, ticket = self._session, self._ticket
        begun = time.monotonic()
        place = (session.keys.base, self.name, ticket["slots"], self.host)
        cores = ticket.get("cores", 1)
        args = (*place, self._lease_ms, session.ttl, cores)
        parts = ("alive", "workers", "starting", "ready", "keys")
        try:
            if session.store.ask(*session.script("check_in", parts, args)) < 0:
                return False
        except SessionLostError:
            # Not even its link was admitted.
            return False
        self.tell("ready", worker=self.name, host=self.host, python=platform.python_version(), cores=cores)
        self._held_since(begun)
        return True

    def renew(self) -> bool:
        """Whether this worker still has its place."""
        keys = self._session.keys
        begun = time.monotonic()
        names = [keys("alive"), keys("workers"), keys("lease", self.name)]
        command = script("renew", names, (self.name, self._lease_ms))
        if self._session.store.insist(command, self._session.lease / PATIENCE) != 1:
            return False
        self._held_since(begun)
        return True

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Renewed meanwhile, by a thread that is gone after it: the supervisor forks."""
        over = threading.Event()
        thread = threading.Thread(target=self._keep, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _keep(self, over: threading.Event) -> None:
        # Whether the place is lost, the supervisor finds out by its next renewal.
        with contextlib.suppress(StoreError):
            while not over.wait(self._session.lease / 3) and self.renew():
                pass

    def retire(self) -> None:
        """Be given nothing more; what waits is no longer for this worker, so the client hears of it."""
        session = self._session
        command = session.script("retire", ("workers", "starting", "ready"), (self.name,))
        workers, starting, waiting = session.store.ask(*command)
        if waiting:
            self.tell("want", workers=workers, starting=starting, waiting=waiting)

    def leave(self) -> bool:
        """Whether this idle worker is out; False when something has come for it."""
        keys, name = self._session.keys, self.name
        names = [keys("workers"), keys("control", name), keys("running", name), keys("worker", name)]
        names += [keys("lease", name), keys("keys")]
        if self._session.store.ask(*script("leave", names, (name,))) != 1:
            return False
        self.tell("left", worker=name)
        # The platform may stop this machine the moment after.
        self._session.store.settle()
        return True

    def drained(self) -> None:
        """Nothing of this worker is left to anyone; the session is over, or goes on without it."""
        keys, name = self._session.keys, self.name
        names = [keys("workers"), keys("control", name), keys("links", name)]
        self._session.store.call(script("drained", names, (name, keys.base)))

    def tell(self, kind: str, **fields: Any) -> None:
        """An event for the client."""
        frame = encode({"kind": kind, **fields})
        self._session.store.cast(*self._session.push_event(self._session.client, frame))

    def _held_since(self, begun: float) -> None:
        self.renew_at = begun + self._session.lease / 3
        self.over_at = begun + self._session.lease


def refuse(session: Session, ticket: dict[str, Any], why: str) -> None:
    """Tell the client that this worker cannot serve it."""
    frame = encode({"kind": "refused", "worker": ticket["worker"], "why": why})
    session.store.call(*session.push_event(session.client, frame))


def mismatch(ticket: dict[str, Any]) -> str:
    """Why this interpreter cannot run that client's processes, or ''."""
    here, there = list(sys.version_info[:2]), ticket["python"]
    if here != there:
        return (
            f"the worker runs Python {here[0]}.{here[1]} and the client Python {there[0]}.{there[1]}, whose "
            "pickles and code objects do not mix: give the worker the client's version"
        )
    return ""
