"""A worker that comes sooner than what the client has sent before it."""

from __future__ import annotations

import json
from typing import Any, Callable

from faults.proxy import Fault, Proxy
from faults.test_reconnection import member
from transparent_mp.launch.fleet import VANISHED, Fleet
from transparent_mp.store.keys import FIRST_PID
from transparent_mp.store.session import OwnedSession


class Launcher:
    """Its workers look at once whether they are awaited."""

    limit: Any = 2
    hint = ""
    slots = 1

    def __init__(self, session: OwnedSession) -> None:
        self._session = session
        self._beside = member(session)
        self.awaited: list[bool] = []

    def launch(self, worker: str, ticket: dict[str, Any], on_gone: Callable[[str, str], None]) -> None:
        starting = self._session.keys("starting")
        self.awaited.append(bool(self._beside.store.ask("SISMEMBER", starting, worker)))

    def explain(self) -> str:
        return ""

    def let_go(self) -> None:
        """Holds nothing."""

    def close(self) -> None:
        self._beside.store.close()


def test_a_worker_is_awaited_before_it_is_launched(session: OwnedSession, proxy: Proxy) -> None:
    launcher = Launcher(session)
    session.store.settle()
    proxy.stall = 0.5
    proxy.next(Fault.STALLED)
    Fleet(session, launcher).want(workers=0, starting=0, waiting=1)
    assert proxy.happened[Fault.STALLED] == 1
    assert launcher.awaited == [True]
    launcher.close()


def test_what_waits_for_no_worker_ends_though_an_answer_is_lost(session: OwnedSession, proxy: Proxy) -> None:
    ready, told = session.keys("ready"), session.keys("inbox", session.uid)
    parts = ("pids", "workers", "starting", "ready", "keys")
    args = (session.keys.base, "uid", session.uid, "name", b"", session.ttl, FIRST_PID, 2)
    for _ in range(2):
        session.store.ask(*session.script("submit", parts, args))
    launcher = Launcher(session)
    fleet = Fleet(session, launcher)
    fleet.want(workers=0, starting=0, waiting=2)
    (worker,) = fleet._states
    # Those to give_up and spread, and then that which brings the processes.
    proxy.next(Fault.REPLY_LOST, skip=2)
    fleet.gone(worker, "it has ended")
    session.store.settle()
    assert proxy.happened[Fault.REPLY_LOST] == 1
    assert session.store.ask("EXISTS", ready) == 0
    frames = [json.loads(frame) for frame in session.store.ask("LRANGE", told, 0, -1)]
    assert [(frame["pid"], frame["code"]) for frame in frames] == [
        (FIRST_PID, VANISHED),
        (FIRST_PID + 1, VANISHED),
    ]
    launcher.close()
