"""The supervisor: what a worker is. Single-threaded; forks a child for each process it is given.

    BOOT      read the ticket, reach the store, check in      -> READY, or EXITED when refused
    READY     no process; waits for one, at most `linger`     -> RUNNING, EXITED
    RUNNING   one process or more                             -> READY, RETIRED, DRAINING
    RETIRED   as RUNNING, but takes no more: its limit nears  -> DRAINING, EXITED
    DRAINING  the session is over or lost: children killed    -> EXITED
    EXITED    left

Children are forked ahead (`spares`), have done all that needs no process to be known, and wait for a frame.

It waits in one place for: frames in its control list (a pop that is always outstanding), ends and
output of children, the lifeline, and what is due by the clock (`Times`). It never unpickles: children do.

A worker whose lease was given up learns it at its next renewal and drains. One that finds its lease
over by the clock (it was frozen) stops its children until it knows.

With a limit on its life, a worker retires at half of it, so that every process has as much at least;
at its end, what still runs is told (`primitives.lifetime`), and killed a moment later.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import selectors
import signal
import time
from typing import Any, Callable, NoReturn

from transparent_mp.errors import StoreError, UntrustedPayloadError
from transparent_mp.launch.fleet import exit_of, fence, report_exit, send_signal
from transparent_mp.primitives import ahead
from transparent_mp.primitives.lifetime import OUTLIVED
from transparent_mp.ship.frames import Head, decode, encode
from transparent_mp.ship.served import forget_files
from transparent_mp.store.session import Session
from transparent_mp.worker import orders, preload, template
from transparent_mp.worker.control import Control
from transparent_mp.worker.limit import Limit
from transparent_mp.worker.membership import Membership, tells_of_the_end
from transparent_mp.worker.running import Once, Running, drain, end_all, reap, wind_up
from transparent_mp.worker.shelf import Shelf
from transparent_mp.worker.spares import Spares

log = logging.getLogger("transparent_mp")
#: Runs, in the forked child, the process that its first argument receives; never returns.
RunChild = Callable[[Running, dict[str, Any], Shelf, int, Any], NoReturn]


class State(enum.Enum):
    """Life of a worker."""

    BOOT = "boot"
    READY = "ready"
    RUNNING = "running"
    RETIRED = "retired"
    DRAINING = "draining"
    EXITED = "exited"


_MOVES = {
    State.BOOT: {State.READY, State.EXITED},
    State.READY: {State.RUNNING, State.DRAINING, State.EXITED},
    State.RUNNING: {State.READY, State.RETIRED, State.DRAINING},
    State.RETIRED: {State.DRAINING, State.EXITED},
    State.DRAINING: {State.EXITED},
    State.EXITED: set(),
}


class Supervisor:
    """One worker's supervisor. `lifeline` is an fd whose end means that the client is gone, or -1; `life` the
    seconds that the worker may live, or None.
    """

    def __init__(
        self,
        ticket: dict[str, Any],
        session: Session,
        run_child: RunChild,
        lifeline: int = -1,
        life: float | None = None,
    ) -> None:
        self.state = State.BOOT
        self._limit = Limit(life)
        if life is not None:
            # Children know when they have to be done.
            ticket = type(ticket)(ticket, ends=self._limit.end_at, life=life)
        self._ticket = ticket
        self._session = session
        self._run_child = run_child
        self._lifeline = lifeline
        self._name = ticket["worker"]
        self._membership = Membership(session, ticket)
        self._running: dict[int, Running] = {}
        self._once = Once()
        self._spares = Spares(self._fork, self._template)
        self._imports = preload.Imports(self._membership.kept)
        self._selector = selectors.DefaultSelector()
        self._idle_since = 0.0

    def run(self) -> int:
        """Serve until there is nothing to serve; returns the number of processes run."""
        if not self._membership.check_in():
            self._move(State.EXITED)
            return 0
        self._move(State.READY)
        self._idle_since = time.monotonic()
        served = 0
        with self._watching():
            try:
                while self.state is not State.EXITED:
                    served += self._turn()
            except StoreError as error:
                # At the session's end its keys are gone as well.
                ended = tells_of_the_end(self._control.last_words())
                log.log(logging.INFO if ended else logging.WARNING, "worker leaves: %s", ended or error)
                end_all(self._running.values(), signal.SIGKILL, self._woken)
        return served

    @contextlib.contextmanager
    def _watching(self) -> Any:
        woken, waker = os.pipe()
        os.set_blocking(waker, False)
        os.set_blocking(woken, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker)
        self._woken, self._waker = woken, waker
        store, key = self._session.store, self._session.keys("control", self._name)
        self._control = Control(store, key, self._selector, self._on_control)
        self._selector.register(woken, selectors.EVENT_READ, self._on_child)
        if self._lifeline >= 0:
            self._selector.register(self._lifeline, selectors.EVENT_READ, self._on_lifeline)
        self._shelf = Shelf(self._session.depot)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            self._selector.close()
            self._spares.drop()
            self._control.close()
            os.close(woken)
            os.close(waker)
            self._shelf.clear()

    def _turn(self) -> int:
        """Wait for one round of happenings and see to them; returns the processes begun."""
        begun = 0
        happened = self._selector.select(0)
        if not happened:
            if self._imports.wait:
                self._see_to_lease()
                self._has(self._imports.next())
                return begun
            if self.state is not State.RETIRED and self._spares.prepare():
                return begun
            happened = self._selector.select(max(0.0, self._due() - time.monotonic()))
        self._see_to_lease()
        for key, _ in happened:
            if self.state is State.EXITED:
                return begun
            begun += key.data(key.fileobj) or 0
        if self.state is not State.EXITED:
            self._see_to_clock(time.monotonic())
        return begun

    def _due(self) -> float:
        due = min(self._membership.renew_at, self._limit.next_after(time.monotonic()))
        return min(due, self._idle_since + self._ticket["linger"]) if self.state is State.READY else due

    def _see_to_lease(self) -> None:
        now, membership = time.monotonic(), self._membership
        if now >= membership.over_at:
            # This machine was frozen, or the store did not answer for long: we may be taken for dead.
            self._signal_all(signal.SIGSTOP)
            if membership.renew():
                self._signal_all(signal.SIGCONT)
            else:
                self._drain(signal.SIGKILL)
        elif now >= membership.renew_at and not membership.renew():
            self._drain(signal.SIGTERM)

    def _see_to_clock(self, now: float) -> None:
        limit = self._limit
        if self.state is State.RUNNING and now >= limit.retire_at:
            self._membership.retire()
            self._spares.drop()
            self._move(State.RETIRED)
        if self.state is State.READY:
            if now >= min(self._idle_since + self._ticket["linger"], limit.retire_at):
                self._leave()
        elif not self._running:
            self._leave()
        elif now >= limit.kill_at:
            self._outlived()
        elif now >= limit.end_at:
            for running in self._running.values():
                running.warn()

    def _outlived(self) -> None:
        """Kill what the limit has not ended; its exit says why."""
        for running in self._running.values():
            if not running.outlived:
                running.outlived = True
                running.signal(signal.SIGKILL)
                said = f"a process went on at its worker's limit of {self._limit.life:.0f} s and was killed"
                self._output(running.pid, 2, f"transparent_mp: {said}\n".encode())

    def _leave(self) -> None:
        if self._membership.leave():
            self._move(State.EXITED)
        else:
            self._idle_since = time.monotonic()

    def _on_order(self, frame: bytes) -> int:
        try:
            return self._obey(*decode(frame), frame)
        except (ValueError, KeyError, TypeError, OverflowError, UntrustedPayloadError) as error:
            self._session.refused()
            log.warning("an order was ignored: %s", error)
            return 0

    def _on_control(self, _fd: Any) -> int:
        begun = 0
        for frame in self._control.words():
            begun += self._on_order(frame)
            if self.state is State.EXITED:
                break
        return begun

    def _obey(self, head: Head, body: bytes, frame: bytes) -> int:
        kind, running = head["kind"], self._running.get(head.get("pid", 0))
        if kind == "run":
            self._once.check(head)
            word, _ = ahead.split(body)
            wanted = ahead.read(self._session, head["uid"], word)
            self._has(self._imports.now(wanted))
            self._begin(head, body, frame, wanted.like)
            return 1
        if kind == "signal":
            if running is not None:
                running.relay(head["signal"])
            elif self._limit.life is not None:
                # It has passed on meanwhile.
                send_signal(self._session, head["pid"], head["signal"])
        elif kind == "interrupt":
            self._signal_all(head["signal"])
        elif kind == "orphan" and running is not None:
            running.orphan()
        elif kind == "leave":
            # It is not needed, unless something has come for it meanwhile.
            self._idle_since = float("-inf")
        elif kind == "end":
            self._drain(signal.SIGTERM)
        return 0

    def _begin(self, head: Head, body: bytes, frame: bytes, like: str) -> None:
        running = self._spares.take(like, frame)
        running.give(head["pid"], orders.given(self._session, head, body, frame, running.common))
        self._running[running.pid] = running
        if self.state is State.READY:
            self._move(State.RUNNING)
        for fd in running.outputs:
            self._selector.register(fd, selectors.EVENT_READ, self._on_output)
        if self._ticket.get("witness"):
            who = {"name": head["name"], "pid": running.pid, "worker": self._name}
            self._membership.tell("started", **who, host=self._membership.host)

    def _has(self, more: bool) -> None:
        """Whether modules were imported: the children that lack them are replaced."""
        if more:
            self._spares.drop()

    def _fork(self) -> Running:
        running = Running()
        child = os.fork()
        if child == 0:
            self._become_child(running)
        running.parent_side(child)
        return running

    def _template(self, like: str, frame: bytes) -> template.Template:
        begun = self._session, like, frame, self._let_go, self._ticket, self._shelf, self._run_child
        return template.begin(*begun)

    def _let_go(self) -> None:
        """In a child: close what is the supervisor's."""
        signal.set_wakeup_fd(-1)
        os.close(self._woken)
        os.close(self._waker)
        self._selector.close()
        for other in self._running.values():
            other.close()
        self._spares.drop()
        if self._lifeline >= 0:
            os.close(self._lifeline)
        self._session.store.reset()
        self._control.drop()

    def _become_child(self, running: Running) -> NoReturn:
        self._let_go()
        stdout, stderr, parent = running.child_side()
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.close(stdout)
        os.close(stderr)
        self._run_child(running, self._ticket, self._shelf, parent, None)

    def _on_output(self, fd: Any) -> None:
        for running in self._running.values():
            if fd in running.outputs and not self._pump(running, fd):
                if not running.outputs and running.has_left():
                    self._ended(running.pid, running, 0)
                return

    def _pump(self, running: Running, fd: int) -> int:
        """Pass on what a child has written; returns how many bytes."""
        data = running.read(fd)
        if data:
            self._output(running.pid, running.outputs[fd], data)
        elif data is not None:
            self._selector.unregister(fd)
            running.close_output(fd)
        return len(data or b"")

    def _on_child(self, _woken: Any) -> None:
        drain(self._woken)
        self._spares.settle()
        ended = reap()
        for pid, running in list(self._running.items()):
            if running.child in ended:
                # What a dead one had sent may be waited for, for seconds.
                self._see_to_lease()
                if self.state is State.EXITED:
                    return
                self._ended(pid, running, ended[running.child])
        self._spares.ended(ended)

    def _ended(self, pid: int, running: Running, code: int) -> None:
        for fd in list(running.outputs):
            # Passed on before the end is told, and no more than that: a child of its own may write on and on.
            waiting = running.waiting(fd)
            while waiting > 0 and (passed_on := self._pump(running, fd)):
                waiting -= passed_on
            if fd in running.outputs:
                self._selector.unregister(fd)
        del self._running[pid]
        if code:
            # What it sent has arrived, and a pop that waits is of no effect any more, when its exit is told.
            fence(self._session, pid, self._name, running.links())
        self._imports.wait += wind_up(self._session, running, code, self._name)
        if not running.outlived:
            # No lock on a file is held any more, either.
            forget_files(self._session, pid)
        self._report(pid, OUTLIVED if running.outlived else code, running.signalled)
        if not self._running:
            self._spares.none_is_running()
            self._idle_since = time.monotonic()
            if self.state is State.RUNNING:
                self._move(State.READY)

    def _report(self, pid: int, code: int, signalled: list[int]) -> None:
        if not signalled or self._limit.life is None:
            report_exit(self._session, pid, code, self._name)
        elif not self._session.store.ask(*exit_of(self._session, pid, code, self._name)):
            # It had passed on when it was signalled.
            for number in signalled:
                send_signal(self._session, pid, number)

    def _on_lifeline(self, fd: Any) -> None:
        if not os.read(fd, 1024):
            self._drain(signal.SIGTERM)

    def _drain(self, first: int) -> None:
        """The session is over, or we are taken for dead: end every child, then leave."""
        if self.state in (State.DRAINING, State.EXITED):
            return
        self._move(State.DRAINING)
        end_all(self._running.values(), first, self._woken)
        # The store may be gone as well.
        with contextlib.suppress(StoreError):
            self._membership.drained()
        self._move(State.EXITED)

    def _signal_all(self, number: int) -> None:
        for running in self._running.values():
            running.signal(number)

    def _output(self, pid: int, fd: int, data: bytes) -> None:
        session = self._session
        frame = encode({"kind": "output", "fd": fd, "pid": pid}, data)
        session.store.cast(*session.push_event(session.client, frame))

    def _move(self, to: State) -> None:
        if to not in _MOVES[self.state]:
            raise RuntimeError(f"a worker cannot go from {self.state.name} to {to.name}")
        self.state = to
