"""The client's book of its workers: who was launched, has checked in, is gone.

    LAUNCHED -- checked in --> READY -- left, lease over, or seen to end --> GONE
    LAUNCHED -- refused, ended, or not there by the deadline ---------> GONE

The first worker of a session is waited for by whoever needs it, so that a session whose workers
cannot come says so at the first `start()`. When the last one is gone before any has checked in,
the processes that wait for one end, and the reason is logged.
"""

from __future__ import annotations

import enum
import logging
import math
import socket
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from transparent_mp.errors import LaunchError, StoreError, WorkerMismatchError
from transparent_mp.hidden import Hiding, public
from transparent_mp.json_text import dumps, loads
from transparent_mp.launch.launcher import Launcher
from transparent_mp.store.link import Command
from transparent_mp.store.remains import read_out
from transparent_mp.store.scripts import script
from transparent_mp.store.session import Session, new_id

log = logging.getLogger("transparent_mp")

#: Exit code of a process whose worker vanished: as if killed.
VANISHED = -9

#: Of a list.
_ALL = 2**31

#: Seconds without the first worker after which its launcher is asked why. Most come within three.
PATIENCE = 10.0


class State(enum.Enum):
    """What the client knows of a worker."""

    LAUNCHED = "launched"
    READY = "ready"
    GONE = "gone"


_MOVES = {
    (State.LAUNCHED, State.READY),
    (State.LAUNCHED, State.GONE),
    (State.READY, State.GONE),
}


class Fleet:
    """Workers of one session. Thread-safe."""

    def __init__(self, session: Session, launcher: Launcher) -> None:
        self._session = session
        self.launcher = launcher
        self._states: dict[str, State] = {}
        self._deadlines: dict[str, float] = {}
        self._changed = threading.Condition()
        self._why = ""
        self._mismatch = False
        self._closing = False
        #: Processes that one worker runs side by side: what the first to check in has said.
        self.cores = 1
        # Workers that have come though they are not needed, and have not said so yet.
        self._surplus = 0

    @property
    def limit(self) -> int | None:
        """Workers that may exist at once."""
        limit = self.launcher.limit
        return limit if limit is None else math.ceil(limit / self.cores)

    def want(self, workers: int, starting: int, waiting: int, more: int = 0) -> None:
        """Launch what is missing for a process that was left waiting, and so many more that will be.

        Raises LaunchError when that is refused and no other worker can take the process.
        """
        limit = self.limit
        missing = min(1 + more, math.ceil((waiting + more) / self.cores) - starting)
        if limit is not None:
            missing = min(missing, limit - workers - starting)
        if missing > 0:
            self._launch_anew(missing, workers + starting)

    def launch(self, name: str, number: int, others: int) -> None:
        """Launch so many workers that are awaited already under that name. Raises LaunchError as `want`."""
        names = names_of(name, number)
        with self._changed:
            self._states.update(dict.fromkeys(names, State.LAUNCHED))
            deadline = time.monotonic() + self._session.config.launch_timeout
            self._deadlines.update(dict.fromkeys(names, deadline))
        for place, worker in enumerate(names):
            if self._states[worker] is not State.LAUNCHED:
                continue
            try:
                self.launcher.launch(worker, self._ticket(worker), self.gone)
            except BaseException as error:
                # What is refused for one is for the next.
                self._forget(names[place:])
                if not isinstance(error, LaunchError) or not (others or place):
                    raise
                log.warning(
                    "no further worker could be launched (%s); processes share those that are there", error
                )
                self._spread()
                return

    def await_first(self, timeout: float) -> None:
        """Return when a worker has ever checked in; raises LaunchError when none can."""
        if self._states and State.READY in self._states.values():
            return
        deadline = time.monotonic() + timeout
        if self._has_come(min(deadline, time.monotonic() + PATIENCE)):
            return
        why = self.launcher.explain()
        if why:
            self._why = why
            for worker in [worker for worker, state in list(self._states.items()) if state is State.LAUNCHED]:
                self.gone(worker, why)
        if not self._has_come(deadline):
            raise LaunchError(f"no worker has checked in within {timeout:.0f} s: {self._hint()}")

    def ready(self, worker: str, cores: int = 1) -> None:
        """A worker has checked in."""
        more, self.cores = cores > self.cores, cores
        self._session.limit = self.limit or 0
        self._move(worker, State.READY)
        if more:
            self._need_fewer()
        elif self._surplus:
            self._surplus -= 1
            control = self._session.keys("control", worker)
            leave = ("RPUSH", control, dumps({"kind": "leave"}) + "\n")
            self._session.store.cast(leave, ("PEXPIRE", control, self._session.ttl))

    def left(self, worker: str) -> None:
        """A worker has left in good order: nothing of it is missed."""
        self._session.store.cast(self._session.script("left", ("keys",), (self._session.keys.base, worker)))
        self._move(worker, State.GONE)

    def refused(self, worker: str, why: str) -> None:
        """A worker says that it cannot serve this session."""
        self._mismatch = True
        self.gone(worker, why)

    def gone(self, worker: str, why: str) -> None:
        """A worker has ended, or must be taken for dead. For a launcher's threads: raises nothing."""
        try:
            self._lose(worker, why)
        except StoreError as error:
            # The inbox meets the same trouble, and tells everyone who waits.
            log.info("the end of worker %s could not be recorded: %s", worker, error)
            self._move(worker, State.GONE)

    def look(self) -> None:
        """Give up workers whose lease is over or whose deadline has passed."""
        now = time.monotonic()
        for worker, state in list(self._states.items()):
            if state is State.READY:
                if self._give_up(worker, "lease"):
                    log.warning("worker %s has not renewed its lease and is given up", worker)
                    self._move(worker, State.GONE)
                    self._settle_waiting(True)
            elif state is State.LAUNCHED and now > self._deadlines[worker]:
                self.gone(worker, f"it did not check in in time: {self._hint()}")

    def close(self) -> None:
        """The session ends: no worker is missed any more."""
        self._closing = True

    def _hint(self) -> str:
        return self.launcher.hint or (
            f"can workers reach the store at {public(self._session.worker_url)}? "
            "TRANSPARENT_MP_WORKER_REDIS_URL is the address they use"
        )

    def _has_come(self, deadline: float) -> bool:
        """Whether a worker has checked in by then; raises LaunchError when none can any more."""
        with self._changed:
            while not any(state is State.READY for state in self._states.values()):
                if not any(state is State.LAUNCHED for state in self._states.values()):
                    kind = WorkerMismatchError if self._mismatch else LaunchError
                    raise kind(f"no worker could be started: {self._why}")
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def _lose(self, worker: str, why: str) -> None:
        was = self._states.get(worker)
        if was in (None, State.GONE) or self._closing:
            return
        if was is State.LAUNCHED:
            self._why = self._why or why
        self._give_up(worker, "now")
        self._move(worker, State.GONE)
        self._settle_waiting(was is State.READY)

    def _launch_anew(self, number: int, others: int) -> None:
        """Have so many awaited, and launch them."""
        session, starting, name = self._session, self._session.keys("starting"), new_id()
        # Waited for: one may check in before a cast has arrived, and would be refused.
        session.store.call(("SADD", starting, *names_of(name, number)), ("PEXPIRE", starting, session.ttl))
        self.launch(name, number, others)

    def _ticket(self, worker: str) -> dict[str, Any]:
        session = self._session
        return Hiding(
            session.ticket(),
            worker=worker,
            machine=worker,
            python=list(sys.version_info[:2]),
            slots=self.launcher.slots,
            linger=session.config.linger,
            log=session.config.log,
            witness=bool(session.config.witness),
        )

    def _forget(self, workers: Sequence[str]) -> None:
        """Await them no more: they were not launched."""
        self._session.store.cast(("SREM", self._session.keys("starting"), *workers))
        for worker in workers:
            self._move(worker, State.GONE)

    def _need_fewer(self) -> None:
        """Await no more workers than do, now that each runs several processes."""
        launched = [worker for worker, state in list(self._states.items()) if state is State.LAUNCHED]
        enough = math.ceil((len(launched) + 1) / self.cores) - 1
        session, starting = self._session, self._session.keys("starting")
        surplus = launched[enough:]
        # One that is not awaited any more leaves at once. It may have come meanwhile.
        awaited = session.store.call(*(("SREM", starting, worker) for worker in surplus)) if surplus else ()
        for worker, was in zip(surplus, awaited):
            if was:
                self._move(worker, State.GONE)
            else:
                self._surplus += 1

    def _give_up(self, worker: str, when: str) -> bool:
        session = self._session
        parts = ("workers", "starting", "keys", "ready")
        args = (session.keys.base, worker, when, session.ttl)
        given_up = session.store.ask(*session.script("give_up", parts, args))
        if given_up is None:
            return False
        pids, links = given_up
        # Frozen, they may wake: nothing that they send counts once their exit is told.
        session.cut(links)
        for pid in pids:
            report_exit(session, int(pid), VANISHED, worker)
        return True

    def _settle_waiting(self, try_again: bool) -> None:
        """See to processes that wait while no worker is there to take them."""
        if not self._spread() or any(state is not State.GONE for state in self._states.values()):
            return
        if try_again:
            try:
                self._launch_anew(1, 0)
            except LaunchError as error:
                self._why = str(error)
            else:
                return
        log.error("no worker can be started: %s", self._why)
        session = self._session
        # In one step: what was read and then removed would be gone with a lost answer.
        for frame in session.store.ask("LPOP", session.keys("ready"), _ALL) or ():
            pid = loads(frame.partition(b"\n")[0])["pid"]
            report_exit(session, pid, VANISHED, "")

    def _spread(self) -> int:
        """Give what waits to workers that are there; returns how many still wait."""
        session = self._session
        args = (session.keys.base, session.ttl)
        return int(session.store.ask(*session.script("spread", ("workers", "ready"), args)))

    def _move(self, worker: str, to: State) -> None:
        with self._changed:
            now = self._states.get(worker)
            if now is not None and (now, to) in _MOVES:
                self._states[worker] = to
            self._changed.notify_all()


def names_of(name: str, number: int) -> list[str]:
    """As `submit` names the workers that it awaits."""
    return [f"{name}-{place}" for place in range(1, number + 1)]


def report_exit(session: Session, pid: int, code: int, worker: str) -> None:
    """Record the end of a process that `worker` held ('' when it never reached one)."""
    session.store.cast(exit_of(session, pid, code, worker))


def exit_of(session: Session, pid: int, code: int, worker: str) -> Command:
    """The command that records it; it answers 0 when that worker does not hold the process (any more)."""
    parts = ("workers", "ready", "objects", "keys")
    args = (session.keys.base, session.keys.any_object, pid, code, session.ttl, worker)
    return session.script("exited", parts, args)


def fence(session: Session, pid: int, worker: str, held: Sequence[socket.socket]) -> None:
    """See that what a process had sent has arrived, which `worker` has seen end, and that no more will.

    `held`: copies of its connections, which are closed.
    """
    command = script("fence", (session.keys("running", worker),), (session.keys.base, pid))
    links = session.store.ask(*command)
    read_out(held)
    session.cut(links)


def send_signal(session: Session, pid: int, sig: int) -> bool:
    """Send a signal to a process of the session; False when there is none of that id."""
    answer = session.store.ask(
        *session.script("signal", ("ready", "keys"), (session.keys.base, pid, int(sig), session.ttl))
    )
    if answer == 2:
        report_exit(session, pid, -sig, "")
    return bool(answer)
