"""The supervisor: what a worker is. Single-threaded; forks a child for each process it is given.

    BOOT      read the ticket, reach the store, check in      -> READY, or EXITED when refused
    READY     no process; waits for one, at most `linger`     -> RUNNING, EXITED
    RUNNING   one process or more                             -> READY, DRAINING
    DRAINING  the session is over or lost: children killed    -> EXITED
    EXITED    left

A child is forked ahead, whenever there is nothing else to do: the *spare*, which has done everything
that needs no process to be known, and waits for its frame. A process that comes while there is none
is forked for.

It waits in one place for: frames in its control list (a pop that is always outstanding), ends and
output of children, the lifeline, and the time to renew its lease. It never unpickles: children do.

A worker whose lease was given up learns it at its next renewal and drains; what its children did
meanwhile goes to objects that no longer know them.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import platform
import select
import selectors
import signal
import socket
import sys
import time
from typing import Any, Callable, NoReturn

from transparent_mp.errors import StoreError
from transparent_mp.launch.fleet import report_exit
from transparent_mp.ship.frames import Head, decode, encode
from transparent_mp.store.scripts import script
from transparent_mp.store.session import Session
from transparent_mp.worker import preload
from transparent_mp.worker.running import Running
from transparent_mp.worker.shelf import Shelf

log = logging.getLogger("transparent_mp")

#: Seconds children have between being told to end (SIGTERM) and being killed, when the session is
#: over. Long enough to flush, short enough that "within seconds" holds.
GRACE = 1.0

#: Runs, in the forked child, the process that its first argument receives; never returns.
RunChild = Callable[[Running, dict[str, Any], Shelf, int], NoReturn]


class State(enum.Enum):
    """Life of a worker."""

    BOOT = "boot"
    READY = "ready"
    RUNNING = "running"
    DRAINING = "draining"
    EXITED = "exited"


_MOVES = {
    State.BOOT: {State.READY, State.EXITED},
    State.READY: {State.RUNNING, State.DRAINING, State.EXITED},
    State.RUNNING: {State.READY, State.DRAINING},
    State.DRAINING: {State.EXITED},
    State.EXITED: set(),
}


class Supervisor:
    """One worker's supervisor. `lifeline` is an fd whose end means that the client is gone, or -1."""

    def __init__(
        self, ticket: dict[str, Any], session: Session, run_child: RunChild, lifeline: int = -1
    ) -> None:
        self.state = State.BOOT
        self._ticket = ticket
        self._session = session
        self._run_child = run_child
        self._lifeline = lifeline
        self._name = ticket["worker"]
        self._host = socket.gethostname()
        self._shelf = Shelf(session.depot)
        self._running: dict[int, Running] = {}
        self._spare: Running | None = None
        # Modules to import before the next fork.
        self._wanted: list[str] = []
        self._selector = selectors.DefaultSelector()
        self._control = session.keys("control", self._name)
        self._renew_at = 0.0
        self._idle_since = 0.0

    def run(self) -> int:
        """Serve until there is nothing to serve; returns the number of processes run."""
        if not self._check_in():
            self._move(State.EXITED)
            return 0
        served = 0
        with self._watching():
            try:
                while self.state is not State.EXITED:
                    served += self._turn()
            except StoreError as error:
                log.warning("worker leaves: %s", error)
                self._kill_all(signal.SIGKILL)
        return served

    def _check_in(self) -> bool:
        session, ticket = self._session, self._ticket
        args = (
            session.keys.base,
            self._name,
            ticket["slots"],
            self._host,
            int(session.lease * 1000),
            session.ttl,
        )
        parts = ("alive", "workers", "starting", "ready", "keys")
        if session.store.ask(*session.script("check_in", parts, args)) < 0:
            return False
        self._tell("ready", worker=self._name, host=self._host, python=platform.python_version())
        self._move(State.READY)
        self._renewed()
        return True

    @contextlib.contextmanager
    def _watching(self) -> Any:
        woken, waker = os.pipe()
        os.set_blocking(waker, False)
        os.set_blocking(woken, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker)
        self._woken, self._waker = woken, waker
        self._link = self._session.store.watch()
        self._pop_next()
        self._selector.register(self._link, selectors.EVENT_READ, self._on_control)
        self._selector.register(woken, selectors.EVENT_READ, self._on_child)
        if self._lifeline >= 0:
            self._selector.register(self._lifeline, selectors.EVENT_READ, self._on_lifeline)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            self._selector.close()
            self._drop_spare()
            self._link.close()
            os.close(woken)
            os.close(waker)
            self._shelf.clear()

    def _pop_next(self) -> None:
        self._link.send([("BLPOP", self._control, 0)])

    def _turn(self) -> int:
        """Wait for one round of happenings and see to them; returns the processes begun."""
        begun = 0
        happened = self._selector.select(0)
        if not happened:
            if self._wanted:
                self._import_ahead()
                return begun
            if self._spare is None:
                self._spare = self._fork()
            happened = self._selector.select(max(0.0, self._due() - time.monotonic()))
        for key, _ in happened:
            begun += key.data(key.fileobj) or 0
            if self.state is State.EXITED:
                return begun
        now = time.monotonic()
        if now >= self._renew_at:
            self._renew()
        if self.state is State.READY and now >= self._idle_since + self._ticket["linger"]:
            self._leave()
        return begun

    def _due(self) -> float:
        return min(self._renew_at, self._idle_since + self._ticket["linger"]) if self.state is State.READY \
            else self._renew_at  # fmt: skip

    def _renewed(self) -> None:
        now = time.monotonic()
        self._renew_at = now + self._session.lease / 3
        self._idle_since = now

    def _renew(self) -> None:
        session = self._session
        names = [session.keys("alive"), session.keys("workers"), session.keys("lease", self._name)]
        if session.store.ask(*script("renew", names, (self._name, int(session.lease * 1000)))) == 1:
            self._renew_at = time.monotonic() + session.lease / 3
        else:
            self._drain()

    def _leave(self) -> None:
        keys, name = self._session.keys, self._name
        names = [keys("workers"), keys("control", name), keys("running", name), keys("worker", name)]
        names += [keys("lease", name), keys("keys")]
        if self._session.store.ask(*script("leave", names, (name,))) == 1:
            self._move(State.EXITED)
        else:
            self._idle_since = time.monotonic()

    def _on_control(self, _link: Any) -> int:
        reply = self._link.read()
        if not isinstance(reply, list):
            raise StoreError(f"the store ended a worker's wait: {reply}")
        self._pop_next()
        head, _ = decode(reply[1])
        kind = head["kind"]
        if kind == "run":
            self._begin(head, reply[1])
            return 1
        if kind == "signal":
            running = self._running.get(head["pid"])
            if running is not None:
                running.signal(head["signal"])
        elif kind == "interrupt":
            for running in self._running.values():
                running.signal(head["signal"])
        elif kind == "orphan":
            running = self._running.get(head["pid"])
            if running is not None:
                running.orphan()
        elif kind == "end":
            self._drain()
        return 0

    def _begin(self, head: Head, frame: bytes) -> None:
        running, self._spare = self._spare or self._fork(), None
        running.give(head["pid"], frame)
        self._running[running.pid] = running
        if self.state is State.READY:
            self._move(State.RUNNING)
        for fd in running.outputs:
            self._selector.register(fd, selectors.EVENT_READ, self._on_output)
        self._tell("started", name=head["name"], pid=running.pid, worker=self._name, host=self._host)

    def _import_ahead(self) -> None:
        """One module, then a look whether something has come; the spare that lacks it is replaced."""
        name = self._wanted.pop(0)
        if name not in sys.modules:
            preload.also(name)
            self._drop_spare()

    def _fork(self) -> Running:
        running = Running()
        child = os.fork()
        if child == 0:
            self._become_child(running)
        running.parent_side(child)
        return running

    def _drop_spare(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            # It reads the end of its input and leaves.
            spare.close()

    def _become_child(self, running: Running) -> NoReturn:
        signal.set_wakeup_fd(-1)
        os.close(self._woken)
        os.close(self._waker)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for other in self._running.values():
            other.close()
        self._drop_spare()
        if self._lifeline >= 0:
            os.close(self._lifeline)
        self._session.store.reset()
        self._link.close()
        stdout, stderr, parent = running.child_side()
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.close(stdout)
        os.close(stderr)
        self._run_child(running, self._ticket, self._shelf, parent)

    def _on_output(self, fd: Any) -> None:
        for running in self._running.values():
            if fd in running.outputs and not self._pump(running, fd):
                return

    def _pump(self, running: Running, fd: int) -> bool:
        """Pass on what a child has written; False at its end."""
        data = running.read(fd)
        if data:
            self._push(encode({"kind": "output", "fd": running.outputs[fd], "pid": running.pid}, data))
        elif data is not None:
            self._selector.unregister(fd)
            running.close_output(fd)
        return bool(data)

    def _drain_wake_ups(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 1024)

    def _on_child(self, _woken: Any) -> None:
        self._drain_wake_ups()
        ended: dict[int, int] = {}
        while True:
            try:
                child, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if child == 0:
                break
            ended[child] = os.waitstatus_to_exitcode(status)
        for pid, running in list(self._running.items()):
            if running.child in ended:
                self._ended(pid, running, ended[running.child])
        if self._spare is not None and self._spare.child in ended:
            self._drop_spare()

    def _ended(self, pid: int, running: Running, code: int) -> None:
        for fd in list(running.outputs):
            # What was written before the end is passed on before the end is told.
            while self._pump(running, fd):
                pass
            if fd in running.outputs:
                self._selector.unregister(fd)
        self._wanted += running.said()
        running.close()
        del self._running[pid]
        report_exit(self._session, pid, code, self._name)
        if not self._running:
            self._idle_since = time.monotonic()
            if self.state is State.RUNNING:
                self._move(State.READY)

    def _on_lifeline(self, fd: Any) -> None:
        if not os.read(fd, 1024):
            self._drain()

    def _drain(self) -> None:
        """The session is over: end every child, then leave."""
        if self.state in (State.DRAINING, State.EXITED):
            return
        self._move(State.DRAINING)
        self._kill_all(signal.SIGTERM)
        # In this order no end of the session can leave a word for us that nobody reads; the store may be
        # gone as well.
        with contextlib.suppress(StoreError):
            workers = self._session.keys("workers")
            self._session.store.call(("ZREM", workers, self._name), ("DEL", self._control))
        self._move(State.EXITED)

    def _kill_all(self, first: int) -> None:
        left = {running.child: running for running in self._running.values()}
        for running in left.values():
            running.signal(first)
        deadline = time.monotonic() + GRACE
        while left:
            try:
                child, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if child:
                left.pop(child, None)
            elif time.monotonic() > deadline:
                for running in left.values():
                    running.signal(signal.SIGKILL)
                deadline = time.monotonic() + GRACE
            else:
                select.select([self._woken], [], [], GRACE)
                self._drain_wake_ups()

    def _tell(self, kind: str, **fields: Any) -> None:
        self._push(encode({"kind": kind, **fields}))

    def _push(self, frame: bytes) -> None:
        self._session.store.cast(*self._session.push_event(self._session.client, frame))

    def _move(self, to: State) -> None:
        if to not in _MOVES[self.state]:
            raise RuntimeError(f"a worker cannot go from {self.state.name} to {to.name}")
        self.state = to


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
