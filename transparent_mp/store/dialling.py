"""How a line gets its links: connected, admitted by the session, and again when one was lost.

A new link ends the one before it at the server, so that nothing that may still be on its way there arrives. A
store that is away is tried again until `patience` is over; then it is gone, for every line of the process.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Sequence
from typing import Callable

from transparent_mp.errors import SessionLostError, StoreAwayError, StoreError, StoreReplyError
from transparent_mp.store.admission import Admission
from transparent_mp.store.ending import Ending
from transparent_mp.store.line import Line
from transparent_mp.store.link import Command, Link, Reply
from transparent_mp.store.refusals import LOST_KEYS, Kind, explained, lacks_scripts, refusal
from transparent_mp.store.scripts import evaluated, script

#: Seconds, at first and at most, between attempts to reach a store that is away: nothing tells when it is
#: back. Longer: it is noticed later; shorter: a server that starts is asked more often, by every process.
PAUSE, PAUSE_MAX = 0.01, 0.25

#: Why a link was not admitted, by the answer of lua/admit.lua.
_REFUSALS = {
    0: f"the session is over: its client has ended or lost its lease, or {LOST_KEYS}",
    -1: "this process was taken for dead, since its worker did not renew its lease in time, and may do "
    "nothing more; TRANSPARENT_MP_LEASE is how long that takes",
    -2: f"the session is over: {LOST_KEYS}",
}


class Dialler:
    """Gives the lines of one process their links. Thread-safe."""

    def __init__(
        self, connect: Callable[[], Link], prepare: Sequence[Command], patience: float, prepared: bool
    ) -> None:
        self._connect = connect
        self._prepare = tuple(prepare)
        self._prepared = prepared
        self._patience = patience
        #: Of the session, once there is one.
        self.admission: Admission | None = None
        #: Told of each new link, by its descriptor; see `remains`.
        self.held: Callable[[int], None] | None = None
        self.reset()

    def reset(self) -> None:
        """In the child of a fork."""
        # Whether the session has admitted a line of this process.
        self._met = False
        #: Why nothing can be done any more.
        self.gone: StoreError | None = None
        self.ending = Ending()
        # All on which somebody may wait.
        self._lock = threading.Lock()
        self._lines: weakref.WeakSet[Line] = weakref.WeakSet()

    def lose(self, error: StoreError) -> None:
        """Nothing can be done any more, for that reason: whoever waits is told."""
        self.gone = self.gone or error
        with self._lock:
            lines = list(self._lines)
        for line in lines:
            line.hang_up()

    def check(self) -> None:
        """Raise what has been found to be the end."""
        if self.gone is not None:
            self.ending.meet()
            raise type(self.gone)(*self.gone.args)

    def readmit(self, line: Line) -> None:
        """Have the session admit the shared line, which was there before it."""
        if line.link is None:
            return
        try:
            self._introduce(line, line.link, True)
        except StoreAwayError:
            # Somebody has answered there.
            self._met = True
            self.dial(line, shared=True)

    def dial(self, line: Line, *, shared: bool = False) -> None:
        """Give a line a new link. Raises StoreError when there is none within `patience`."""
        if line.link is not None:
            line.former, line.link = line.link, None
            line.former.close()
        with self._lock:
            self._lines.add(line)
        deadline = time.monotonic() + self._patience
        pause = PAUSE
        while True:
            try:
                self.check()
                link = self._connect()
                if self.held is not None:
                    self.held(link.fileno())
                try:
                    self._introduce(line, link, shared)
                except BaseException:
                    link.close()
                    raise
                line.link = link
                return
            except StoreError as error:
                self.ending.meet()
                # Nobody waits for an address at which nobody has ever listened.
                waits = isinstance(error, StoreAwayError) and (self._met or error.starting)
                if not waits or time.monotonic() + pause > deadline:
                    if self._met:
                        self.gone = error
                    raise
            # Other threads' links are made meanwhile; nobody can tell us when a server listens again.
            time.sleep(pause)
            pause = min(2 * pause, PAUSE_MAX)

    def _introduce(self, line: Line, link: Link, shared: bool) -> None:
        """Have the session admit a link; what may still be on its way on the old one is not to arrive."""
        loads = line.former is not None or (shared and not self._prepared)
        commands: list[Command] = []
        if self.admission is not None:
            # Where it is found by its digest the other scripts are, too.
            run = evaluated if loads else script
            commands.append(self.admission.admission(link, line, run))
        if line.former is not None:
            commands.insert(0, ("CLIENT", "KILL", "ID", line.former.number, "ADDR", line.former.name))
        if loads:
            commands += self._prepare
        replies = _exchange(link, commands)
        if self.admission is not None and not loads and lacks_scripts(replies):
            # The server was restarted since they were loaded. Who casts a step would not learn of it.
            replies = _exchange(link, [self.admission.admission(link, line), *self._prepare])
        for reply in replies:
            if isinstance(reply, StoreReplyError):
                raise _refused(link.address, reply)
        if self.admission is not None:
            why = _REFUSALS.get(replies[0 if line.former is None else 1])
            if why:
                raise SessionLostError(why)
            line.admitted = self._met = True
        line.former = None


def _exchange(link: Link, commands: Sequence[Command]) -> list[Reply]:
    link.send(commands)
    return [link.read() for _ in commands]


def _refused(address: str, reply: StoreReplyError) -> StoreError:
    error = explained(address, reply)
    known = refusal(str(reply))
    if known is None or known.kind is not Kind.WAIT:
        return error
    away = StoreAwayError(*error.args)
    away.starting = True
    return away
