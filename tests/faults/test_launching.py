"""A worker that comes sooner than what the client has sent before it."""

from __future__ import annotations

from typing import Any, Callable

from faults.proxy import Fault, Proxy
from faults.test_reconnection import member
from transparent_mp.launch.fleet import Fleet
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
