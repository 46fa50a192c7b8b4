"""A process on a worker, from the fork to its exit code: the far side of `primitives.popen`.

It becomes the process its parent sees (id, surroundings, session), opens the sealed body, and lets
CPython's own `Process._bootstrap` run it. It leaves through os._exit, as a forked child does, and
runs exit handlers where a local child would: a spawned one always, as at the end of an interpreter,
the others from the Python version on that does so.

Where the worker has a limit, a process that passes on (`primitives.lifetime`) is submitted again as its
last act, under a new holder id; from then on its end here means nothing to anyone.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import atexit
import ctypes
import faulthandler
import gc
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Sequence
from multiprocessing import popen_fork, util
from typing import Any, Callable, NoReturn

from transparent_mp.config import Config
from transparent_mp.errors import StoreError
from transparent_mp.launch.fleet import exit_of
from transparent_mp.primitives import ahead, held, lifetime, memory, pids, sharing, untold
from transparent_mp.primitives import session as sessions
from transparent_mp.ship.frames import decode, encode, pair
from transparent_mp.ship.served import sees_the_same
from transparent_mp.store.commands import packed
from transparent_mp.store.content import pack
from transparent_mp.store.link import Arg
from transparent_mp.store.seal import Buffer
from transparent_mp.store.session import Session, approach, begin, join, new_id
from transparent_mp.store.telling import Telling, numbered
from transparent_mp.worker import orders, preload, surroundings
from transparent_mp.worker.files import state as files
from transparent_mp.worker.pages import Pages
from transparent_mp.worker.programs import Program
from transparent_mp.worker.running import Running
from transparent_mp.worker.shelf import Shelf

#: Stands for the number of a process that is not known yet.
_PID = -(2**62)
#: Exit code when the process could not even be made: as for an interpreter that fails to start.
UNMADE = 1

#: Whether forked children and those of a fork server run exit handlers here: both or neither do.
FORKED_RUN_EXIT_HANDLERS = hasattr(popen_fork, "atexit")

_PR_SET_PDEATHSIG = 1
#: Looked up before the fork.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


class Prepared:
    """What processes that are alike have in common; `common` is what their bodies say of it."""

    def __init__(self, session: Session, shelf: Shelf, common: bytes, pid: int = 0) -> None:
        """`pid`: of the process that this one is; 0 for one that is copied, whose code finds its parent's."""
        self.session, self.common = session, common
        around, method, prepared = pickle.loads(common)
        self._ids = around["parent"], around["cpus"], around["ancestor"]
        self.method: str = method
        pids.become(pid or around["parent"], *self._ids)
        served = around["served"]
        self._has_files = bool(served.get("roots") and shelf.place and not sees_the_same(served))
        if self._has_files:
            session.served = served
            files.enter(session, served["roots"], shelf.place)
        surroundings.enter(around, session.worker_url)
        if pid:
            self._begin()
        if method == "fork":
            # What the program has registered in the parent is the parent's; only multiprocessing's is both's.
            atexit._clear()
            atexit.register(util._exit_function)  # type: ignore[attr-defined]
        self.program = Program(session, shelf, around, method, prepared)

    def _begin(self) -> None:
        if self._has_files:
            memory.on_release(files.hand_over)
        preload.renew()
        memory.synchronise()


class Copied(Prepared):
    """The same in a template, and in its copies. `roam` has one run on any processor."""

    def __init__(
        self,
        session: Session,
        worker: str,
        shelf: Shelf,
        common: bytes,
        telling: Telling | None,
        pages: Pages,
        roam: Callable[[], None],
    ) -> None:
        """`telling`: on which each tells of its end."""
        self._telling, self._pages, self._roam = telling, pages, roam
        self._exit = packed(exit_of(session, _PID, 0, worker))
        # What it imports, its copies need not tell.
        self._channel: Running | None = None
        preload.tell_ahead(self._say)
        super().__init__(session, shelf, common)
        self._sockets = surroundings.place_for_sockets(shelf.place)
        self.program.make_ready()
        self.had = preload.last_imported()
        # What is garbage by now, each of them would look through.
        gc.collect()
        self._collects = gc.isenabled()

    def approach(self, ticket: dict[str, Any]) -> None:
        """In who is copied, as the last thing: have ready what each copy uses the store with."""
        approach(self.session, ticket)

    def await_order(self, channel: Running) -> str:
        """In a copy: do what needs no order; returns where its sockets go."""
        self._channel = channel
        self._roam()
        _partake(self.session, channel)
        return self._sockets

    def become(self, pid: int, uid: str) -> Prepared:
        """In a copy: be the process of that id."""
        begin(self.session, uid, ("process", str(pid)))
        pids.become(pid, *self._ids)
        self._begin()
        if self._collects:
            gc.enable()
        return self

    def report(self, pid: int) -> tuple[Telling, bytes] | None:
        """What it tells of its end, and on what; None if the client has its files to see to first."""
        if self._telling is None or self._has_files:
            return None
        return self._telling, numbered(self._exit, _PID, pid)

    def leave(self) -> None:
        """In a copy whose end was told: let those after it have ready what it has used."""
        self._pages.tell()

    def _say(self, words: list[str]) -> None:
        if self._channel is not None:
            self._channel.say(words)


def run(
    channel: Running,
    ticket: dict[str, Any],
    shelf: Shelf,
    parent_sentinel: int,
    copied: Copied | None = None,
) -> NoReturn:
    """Run the process that the supervisor gives this forked child; never returns.

    `copied`: the process is like this, and this one a copy of who has made it.
    """
    code = UNMADE
    had = preload.last_imported() if copied is None else copied.had
    try:
        die_with_supervisor()
        if copied is None:
            stand_alone()
            preload.tell_ahead(channel.say)
            sockets = surroundings.place_for_sockets(shelf.place)
        else:
            sockets = copied.await_order(channel)
        order = channel.receive()
        if not order:
            os._exit(0)
        limited = lifetime.begin(ticket["ends"], ticket["life"]) if "ends" in ticket else None
        pid, prepared, obj = _begun(order, ticket, shelf, channel, copied)
        session = prepared.session
        process = prepared.program.process(obj)
        surroundings.place_sockets(process._config, sockets)
        first = sharing.held() if limited is not None else []
        code = _run(prepared.method, process, parent_sentinel)
        # Nothing is worth collecting any more.
        gc.disable()
        _leave_files()
        # Writes nobody waited for must have arrived before the exit is told.
        memory.leave()
        session.store.settle()
        if limited is not None and limited.passes_on:
            _pass_on(session, ticket["worker"], pid, pair(prepared.common, obj), first)
        channel.say(preload.imported(had))
        if not code:
            _flush()
            passes_on = limited is not None and limited.passes_on
            left = channel.leave(None if copied is None or passes_on else copied.report(pid))
            if left and copied is not None:
                copied.leave()
    except StoreError as error:
        sys.stderr.write(f"transparent_mp: a process ends: {error}\n")
    except BaseException:  # noqa: BLE001  the process ends here, whatever it was
        traceback.print_exc()
    finally:
        _flush()
        os._exit(code)


def _partake(session: Session, channel: Running) -> None:
    """Let the supervisor have what outlives this process."""
    session.store.hold(channel.hold)
    untold.become_own(channel.untold)
    held.become_own(channel.held)


def _begun(
    order: bytes, ticket: dict[str, Any], shelf: Shelf, channel: Running, copied: Copied | None
) -> tuple[int, Prepared, memoryview]:
    """Be the process of that order: its id, what it has in common with others, and its object."""
    short = orders.read(order)
    if short is not None and copied is not None:
        return short.pid, copied.become(short.pid, short.uid), short.obj
    head, body = decode(order)
    pid, uid = head["pid"], head["uid"]
    if copied is not None:
        prepared = copied.become(pid, uid)
        common, obj = orders.opened(prepared.session, head, body)
        if common != prepared.common:
            raise ValueError("a process is not what its sender has said that it is like")
        return pid, prepared, obj
    config = Config(lease=ticket["lease"], log=ticket["log"])
    session = join(ticket, uid, config, ("process", str(pid)))
    session.depot, session.shelf = shelf.depot, shelf.content
    _partake(session, channel)
    sessions.attach(session)
    common, obj = orders.opened(session, head, body)
    return pid, Prepared(session, shelf, bytes(common), pid), obj


def _leave_files() -> None:
    try:
        files.leave()
    except StoreError:
        raise
    except OSError as error:
        sys.stderr.write(f"transparent_mp: a file that was left open is not whole at the client: {error}\n")


def _run(method: str, process: Any, parent_sentinel: int) -> int:
    code: int = process._bootstrap(parent_sentinel=parent_sentinel)
    if method == "spawn" or FORKED_RUN_EXIT_HANDLERS:
        _run_exit_handlers()
    return code


def _run_exit_handlers() -> None:
    try:
        atexit._run_exitfuncs()
    except Exception:  # noqa: BLE001  a handler's; before Python 3.10 raised after it was reported
        return


def _pass_on(session: Session, worker: str, pid: int, content: Buffer, holds: Sequence[str]) -> None:
    uid = new_id()
    first, body = pack(session, "process:" + uid, content, name=uid)
    parts = ("workers", "starting", "ready", "objects", "keys")
    bases = session.keys.base, session.keys.any_object
    args: list[Arg] = [*bases, pid, uid, ahead.NO_WORD + body, session.ttl, worker, session.limit, *holds]
    answer = session.store.call(*first, session.script("pass_on", parts, args))[-1]
    if answer is not None and not answer[0]:
        _given, workers, starting, waiting = answer
        counts = {"workers": workers, "starting": starting, "waiting": waiting}
        session.store.call(*session.push_event(session.client, encode({"kind": "want", **counts})))


def stand_alone() -> None:
    """Undo what a supervisor has and a fresh process has not."""
    # Not `signal`'s functions, whose enumerations cost more than all else here.
    _signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP):
        _signal.signal(number, _signal.SIG_DFL)
    if faulthandler.is_enabled():
        faulthandler.disable()


def die_with_supervisor() -> None:
    """Have the kernel kill this process when the one that waits for it ends."""
    # A supervisor that is killed cannot report its children, so none may live on and act.
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            # The program closed or replaced it; a local child would lose the rest as well.
            continue
