"""What a process needs in order to start others: its inbox, its children, and at the client the fleet.

    submit   one script pushes the process and says whether a worker has it; the fleet launches one
             if not (a process on a worker asks the client to)
    exit     an event in the inbox; sets the code, then closes the sentinel's other end

A child is known from `submit` until its exit; an exit that overtakes the answer of `submit` is kept
for it.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Sequence
from typing import Any, Callable

from transparent_mp.errors import LaunchError, StoreError
from transparent_mp.launch.fleet import VANISHED, Fleet, send_signal
from transparent_mp.launch.launcher import Launcher
from transparent_mp.primitives import burst, forked, homes, opening, watching
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.main_module import late_global
from transparent_mp.primitives.packing import kept
from transparent_mp.primitives.snapshot import Snapshots
from transparent_mp.ship import output
from transparent_mp.ship.batches import Batches
from transparent_mp.ship.frames import Head, encode
from transparent_mp.ship.inbox import Inbox
from transparent_mp.ship.reading import Code
from transparent_mp.ship.requests import Answers
from transparent_mp.ship.served import Served
from transparent_mp.store.keys import FIRST_PID
from transparent_mp.store.link import Command
from transparent_mp.store.session import OwnedSession, Session, new_id

log = logging.getLogger("transparent_mp")


class Child:
    """A started process as its parent sees it. `sentinel` is readable once `code` is set."""

    def __init__(self, name: str, at_end: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self._at_end = at_end
        self.pid = 0
        self.worker = ""
        self.code: int | None = None
        self.ended = threading.Event()
        self.sentinel, self._writer = os.pipe()

    def end(self, code: int, worker: str = "") -> None:
        """Set the exit code, once, and on which worker it ran."""
        if self.code is None:
            self.worker = worker
            self.code = code
            os.close(self._writer)
            self.ended.set()
            self._at_end()


class Starter:
    """The starting side of one process of a session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._lock = threading.Lock()
        self._children: dict[int, Child] = {}
        self._early: dict[int, tuple[int, str]] = {}
        self._lost = ""
        self.inbox = Inbox(session)
        self.inbox.on("exit", self._on_exit)
        self.inbox.on("lost", self._on_lost)
        self.inbox.on("signal", lambda head, _: os.kill(os.getpid(), head["signal"]))
        #: Digests of the contents this process has stored.
        self.stored: set[str] = set()
        self.fleet: Fleet | None = None
        self.snapshots: Snapshots | None = None
        self.served: Served | None = None
        self.batches: Batches | None = None
        # A real child that was forked from the client has its session, but is not the client.
        if isinstance(session, OwnedSession) and session.uid == session.client:
            self._serve(session)
        self.inbox.start()

    def start(self, child: Child, uid: str, before: Sequence[Command], body: bytes) -> None:
        """Submit a process; returns when a worker has it or is on its way. Raises LaunchError, StoreError."""
        session, fleet = self.session, self.fleet
        processes, name = burst.begun(), new_id()
        args: tuple[Any, ...] = (session.keys.base, uid, session.uid, child.name, body, session.ttl)
        args += (FIRST_PID, session.limit)
        if fleet is not None:
            args += (name, processes, fleet.cores)
        submit = session.script("submit", ("pids", "workers", "starting", "ready", "keys"), args)
        pid, given, workers, starting, waiting, missing = session.store.call(*before, submit)[-1]
        self._know(child, pid)
        if given:
            return
        burst.asked()
        if fleet is None:
            counts = {"workers": workers, "starting": starting, "waiting": waiting, "more": processes - 1}
            session.store.cast(*session.push_event(session.client, encode({"kind": "want", **counts})))
            return
        try:
            fleet.launch(name, missing, workers + starting)
            fleet.await_first(session.config.launch_timeout)
        except LaunchError:
            # Withdrawn, so that it does not run later behind the back of who was told that it does not.
            self.signal(pid, 9)
            child.end(VANISHED)
            raise

    def signal(self, pid: int, sig: int) -> bool:
        """Send a signal to a process of the session; False when there is none of that id."""
        return send_signal(self.session, pid, sig)

    def close(self) -> None:
        """Stop watching: nobody waits for children any more."""
        if self.fleet is not None:
            self.fleet.close()
        self.inbox.stop()

    def _serve(self, session: OwnedSession) -> None:
        self.fleet = fleet = Fleet(session, _launcher(session))
        session.limit = fleet.limit or 0
        answers = Answers(session)
        self.served = served = Served(session)
        self.batches = batches = Batches(session, Code(served.roots))
        answers.on("module", batches.answer)
        answers.on("global", lambda request: ({}, late_global(request["name"])))
        self.snapshots = snapshots = Snapshots(session, kept)
        answers.on("kept", snapshots.answer, slow=True)
        inbox = self.inbox
        answers.on("segment", homes.answer)
        inbox.on("unlinked", homes.on_unlinked)
        inbox.on("output", output.write)
        inbox.on("request", answers.handle)
        inbox.on("ready", lambda head, _: fleet.ready(head["worker"], head.get("cores", 1)))
        inbox.on("left", lambda head, _: fleet.left(head["worker"]))
        inbox.on("gone", lambda head, _: fleet.gone(head["worker"], head["why"]))
        inbox.on("refused", lambda head, _: fleet.refused(head["worker"], head["why"]))
        inbox.on("started", self._on_started)
        inbox.on("want", self._on_want)
        inbox.every_tick(session.look)
        inbox.every_tick(fleet.look)
        served.start()
        session.before_end.append(served.stop)
        session.before_end.append(self.close)
        session.after_end.append(fleet.launcher.close)
        session.in_child.append(fleet.launcher.let_go)

    def _know(self, child: Child, pid: int) -> None:
        with self._lock:
            child.pid = pid
            if self._lost:
                child.end(VANISHED)
            elif pid in self._early:
                child.end(*self._early.pop(pid))
            else:
                self._children[pid] = child

    def _on_exit(self, head: Head, _body: bytes) -> None:
        if self.served is not None:
            # Who joins it finds what it has written, even if it was killed.
            self.served.ended(head["pid"])
        # And every fd tells of what it has sent, before the sentinel's does.
        watching.caught_up(self.session.store)
        self._ended(head["pid"], head["code"], head.get("worker", ""))

    def _ended(self, pid: int, code: int, worker: str) -> None:
        with self._lock:
            child = self._children.pop(pid, None)
            if child is None:
                self._early[pid] = code, worker
                return
        child.end(code, worker)

    def _on_lost(self, head: Head, _body: bytes) -> None:
        self._lost = str(head["reason"])
        if self._children:
            log.error("the store is lost, and with it the processes: %s", self._lost)
        self._end_all(VANISHED)
        pools = sys.modules.get("transparent_mp.primitives.pool")
        if pools is not None:
            pools.fail_all(StoreError(self._lost))

    def _end_all(self, code: int) -> None:
        with self._lock:
            children = list(self._children.values())
            self._children.clear()
        for child in children:
            child.end(code)

    def _on_started(self, head: Head, _body: bytes) -> None:
        self.witness(head["name"], head["worker"], head["host"])

    def witness(self, name: str, worker: str, host: str) -> None:
        """Write down who runs a process, where the settings ask for it."""
        path = self.session.config.witness
        if path:
            with open(path, "a", encoding="utf-8") as file:
                file.write("\t".join((self.session.id, name, worker, host)) + "\n")

    def _on_want(self, head: Head, _body: bytes) -> None:
        assert self.fleet is not None
        try:
            self.fleet.want(head["workers"], head["starting"], head["waiting"], head.get("more", 0))
        except LaunchError as error:
            log.error("a process waits for a worker that cannot be launched: %s", error)


class _Place:
    """Where this process's starter is kept."""

    starter: Starter | None = None
    lock = threading.Lock()


def current() -> Starter:
    """This process's starter, made with the first process it starts."""
    session = sessions.current()
    with _Place.lock:
        if _Place.starter is None or _Place.starter.session is not session:
            _Place.starter = Starter(session)
    return _Place.starter


def _launcher(session: Session) -> Launcher:
    if session.config.backend == "lambda":
        from transparent_mp.launch.aws import LambdaLauncher

        return LambdaLauncher(session.config)
    from transparent_mp.launch.local import LocalLauncher

    return opening.launcher() or LocalLauncher(session.config)


def _after_fork_in_child() -> None:
    # The thread that reads the inbox stayed with the parent, and so did the children.
    _Place.starter = None
    _Place.lock = threading.Lock()


forked.in_child(_after_fork_in_child)
