"""Makes the trouble of a trial when its moment has come, from within the proxy that sees the traffic.

It finds whom to befall by the mark that everything which the program has started carries in its environment.
"""

from __future__ import annotations

import enum
import os
import random
import signal
import threading
from pathlib import Path
from typing import Callable

from faults.conftest import Server
from faults.proxy import Fault, Proxy, Seeded
from faults.trials import Trial, Trouble, Victim, Where

MARK = "TMP_TEST_MARK"
#: Seconds after which a wait that was not answered is a wait.
BLOCKED = 0.05

#: What befalls one connection at a moment.
_CUTS = {
    Where.BEFORE: (Fault.REQUEST_LOST, Fault.REQUEST_TORN),
    Where.BETWEEN: (Fault.REPLY_LOST, Fault.REPLY_TORN),
    Where.AFTER: (Fault.REQUEST_LATE, Fault.HALF_CLOSED),
}


class _Stage(enum.Enum):
    """How near the moment is."""

    COUNTING = "counting"
    #: The request has gone; the reply has gone to whoever sent it.
    SENT = "sent"
    ANSWERED = "answered"
    #: Now, or as soon as there is somebody whom it can befall.
    ARMED = "armed"
    #: A timer knows, or it is done.
    OVER = "over"


_FIRST = {Where.BEFORE: _Stage.ARMED, Where.BLOCKED: _Stage.OVER}


def _waits(request: bytes) -> bool:
    return b"BLMOVE" in request or b"BLPOP" in request


class Family:
    """What a program has started, by what it is."""

    def __init__(self, mark: str, client: int) -> None:
        self._mark = f"{MARK}={mark}".encode()
        self._client = client

    def pids(self) -> dict[int, int]:
        """Pid -> parent, of all that lives."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    # A zombie has no environment any more.
                    if self._mark in (entry / "environ").read_bytes().split(b"\0"):
                        after = (entry / "stat").read_bytes().rpartition(b")")[2].split()
                        found[int(entry.name)] = int(after[1])
                except OSError:
                    continue
        return found

    def kinds(self) -> dict[int, str]:
        """Pid -> client, keeper, worker, process, or helper: whatever else the client has forked."""
        pids = self.pids()
        found = {}
        for pid, parent in pids.items():
            line = Path(f"/proc/{pid}/cmdline")
            if pid == self._client:
                found[pid] = "client"
            elif parent in pids and parent != self._client and self._is_worker(parent):
                found[pid] = "process"
            else:
                words = line.read_bytes() if line.exists() else b""
                found[pid] = "keeper" if b"store.keeper" in words else "helper"
                if self._is_worker(pid):
                    found[pid] = "worker"
        return found

    def sender(self, port: int) -> int | None:
        """Who holds the connection with that port."""
        wanted = f":{port:04X}"
        inodes = {
            line.split()[9]
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
            if line.split()[1].endswith(wanted)
        }
        for pid in sorted(self.pids(), reverse=True):
            try:
                held = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
            except OSError:
                continue
            if held & {f"socket:[{inode}]" for inode in inodes}:
                return pid
        return None

    def _is_worker(self, pid: int) -> bool:
        try:
            return b"transparent_mp.cli.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False


class Maker:
    """That of one run. `did` says what was done; `befallen`: what kind of process it was done to."""

    def __init__(self, trial: Trial, proxy: Proxy, server: Server) -> None:
        self.trial = trial
        self.did = ""
        self.befallen = ""
        self._proxy = proxy
        self._server = server
        self._chance = random.Random(trial.seed)
        self._family: Family | None = None
        self._left = trial.at
        self._port = -1
        self._stage = _Stage.COUNTING
        self._timers: list[threading.Timer] = []

    def begin(self, family: Family) -> None:
        """The program runs."""
        self._family = family
        self._proxy.watch = self._see

    def end(self) -> None:
        """Everything is as it was: what was stopped goes on, and somebody listens."""
        self._proxy.watch = None
        for timer in self._timers:
            timer.join()
        self._proxy.plan = None
        self._proxy.accept()

    def _see(self, port: int, upward: bool, data: bytes) -> None:
        """A piece of traffic, before it goes on."""
        where = self.trial.where
        if self._stage is _Stage.COUNTING and upward and (where is not Where.BLOCKED or _waits(data)):
            self._left -= 1
            if self._left < 0:
                self._port = port
                self._stage = _FIRST.get(where, _Stage.SENT)
                if where is Where.BLOCKED:
                    self._later(BLOCKED, lambda: self._act(port))
        elif self._stage is _Stage.SENT and port == self._port and not upward:
            self._stage = _Stage.ARMED if where is Where.BETWEEN else _Stage.ANSWERED
        elif self._stage is _Stage.ANSWERED:
            self._stage = _Stage.ARMED
        if self._stage is _Stage.ARMED:
            self._act(port)

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, what)
        self._timers.append(timer)
        timer.start()

    def _act(self, port: int) -> None:
        trial, proxy = self.trial, self._proxy
        trouble = trial.trouble
        if trial.victim is not None:
            self._befall(port)
            return
        self._stage = _Stage.OVER
        self.did = trouble.value
        if trouble is Trouble.CUT and trial.where in _CUTS:
            proxy.next(self._chance.choice(_CUTS[trial.where]))
        elif trouble is Trouble.CUT:
            proxy.cut()
        elif trouble is Trouble.CUT_OFTEN:
            proxy.stall = 0.01
            proxy.plan = Seeded(trial.seed, rate=0.04)
        elif trouble is Trouble.STALL:
            proxy.stall = trial.pause
            proxy.next(Fault.STALLED)
            proxy.plan = Seeded(trial.seed, 0.02, (Fault.STALLED,))
        elif trouble is Trouble.OUTAGE:
            proxy.refuse()
            self._later(trial.pause, proxy.accept)
        else:
            self._server.kill()
            if trouble is Trouble.GONE:
                proxy.refuse()
                return
            if trouble is Trouble.RESTART_EMPTY:
                self._server.forget()
            self._later(trial.pause, self._server.start)

    def _befall(self, port: int) -> None:
        trial = self.trial
        pid = self._found(port)
        if pid is None:
            # Nobody yet: the next piece of traffic tries again.
            self._stage = _Stage.ARMED
            return
        self._stage = _Stage.OVER
        self.did = f"{trial.trouble.value} {self.befallen}"
        if trial.trouble is Trouble.KILL:
            _signal(pid, signal.SIGKILL)
            return
        _signal(pid, signal.SIGSTOP)
        seconds = 1.5 * trial.lease if trial.trouble is Trouble.FREEZE_LONG else trial.pause
        self._later(seconds, lambda: _signal(pid, signal.SIGCONT))

    def _found(self, port: int) -> int | None:
        assert self._family is not None
        victim = self.trial.victim
        if victim is Victim.SERVER:
            self.befallen = "server"
            return self._server.pid
        kinds = self._family.kinds()
        if victim is Victim.SENDER:
            pid = self._family.sender(port)
            self.befallen = kinds.get(pid or 0, "")
            return pid if self.befallen else None
        assert victim is not None
        some = sorted(pid for pid, kind in kinds.items() if kind == victim.value)
        self.befallen = victim.value
        return self._chance.choice(some) if some else None


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        # It has ended by itself.
        return
