"""A process on a worker, from the fork to its exit code: the far side of `primitives.popen`.

It becomes the process its parent sees (id, surroundings, session), opens the sealed body, and lets
CPython's own `Process._bootstrap` run it. It leaves through os._exit, as a forked child does; a
spawned one runs its exit handlers first, as an interpreter of its own would.
"""

from __future__ import annotations

import atexit
import ctypes
import faulthandler
import os
import pickle
import signal
import sys
import traceback
from typing import Any, NoReturn

from transparent_mp.config import Config
from transparent_mp.errors import StoreError
from transparent_mp.primitives import memory, pids
from transparent_mp.primitives import session as sessions
from transparent_mp.ship.frames import decode
from transparent_mp.ship.served import sees_the_same
from transparent_mp.store.content import unpack
from transparent_mp.store.session import Session, join
from transparent_mp.worker import preload, surroundings
from transparent_mp.worker.files import state as files
from transparent_mp.worker.programs import load
from transparent_mp.worker.running import Running
from transparent_mp.worker.shelf import Shelf

#: Exit code when the process could not even be made: as for an interpreter that fails to start.
UNMADE = 1

_PR_SET_PDEATHSIG = 1


def run(channel: Running, ticket: dict[str, Any], shelf: Shelf, parent_sentinel: int) -> NoReturn:
    """Run the process that the supervisor gives this forked child; never returns."""
    code = UNMADE
    had = frozenset(sys.modules)
    try:
        _die_with_supervisor()
        _stand_alone()
        frame = channel.receive()
        if not frame:
            os._exit(0)
        head, body = decode(frame)
        session = join(ticket, head["uid"], Config(lease=ticket["lease"], log=ticket["log"]))
        sessions.attach(session)
        code = _run(session, shelf, head["pid"], body, parent_sentinel)
        files.leave()
        # Writes nobody waited for must have arrived before the exit is told.
        last = memory.publish()
        if last:
            session.store.cast(*last)
        session.store.settle()
        channel.say(preload.imported(had))
    except StoreError as error:
        sys.stderr.write(f"transparent_mp: a process ends: {error}\n")
    except BaseException:  # noqa: BLE001  the process ends here, whatever it was
        traceback.print_exc()
    finally:
        _flush()
        os._exit(code)


def _run(session: Session, shelf: Shelf, pid: int, body: bytes, parent_sentinel: int) -> int:
    content = unpack(session, "process:" + session.uid, body)
    around, method, prepared, process = pickle.loads(content)
    pids.become(pid, around["parent"], around["cpus"])
    served = around["served"]
    if served.get("roots") and shelf.place and not sees_the_same(served):
        session.served = served
        files.enter(session, served["roots"], shelf.place)
        memory.on_release(files.hand_over)
    surroundings.enter(around)
    memory.synchronise()
    program = load(session, shelf, method, prepared, process)
    code: int = program._bootstrap(parent_sentinel=parent_sentinel)
    if method != "fork":
        atexit._run_exitfuncs()
    return code


def _stand_alone() -> None:
    """Undo what a supervisor has and a fresh process has not."""
    atexit._clear()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if faulthandler.is_enabled():
        faulthandler.disable()


def _die_with_supervisor() -> None:
    # A supervisor that is killed cannot report its children, so none may live on and act.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            # The program closed or replaced it; a local child would lose the rest as well.
            continue
