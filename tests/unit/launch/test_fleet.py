from __future__ import annotations

import dataclasses
import json
from typing import Any, Callable

import pytest

from transparent_mp.errors import LaunchError, WorkerMismatchError
from transparent_mp.launch.fleet import VANISHED, Fleet
from transparent_mp.store.keys import FIRST_PID
from transparent_mp.store.session import OwnedSession


class Launcher:
    """Launches on paper."""

    limit: Any = 2
    hint = ""
    slots = 1

    def __init__(self) -> None:
        self.launched: list[str] = []
        self.asked = 0
        #: Further ones are refused.
        self.room = 1000
        self.refuses = False
        self.why = ""

    def launch(self, worker: str, ticket: dict[str, Any], on_gone: Callable[[str, str], None]) -> None:
        assert ticket["worker"] == worker
        self.asked += 1
        if self.refuses or len(self.launched) >= self.room:
            raise LaunchError(2, "there is no such command")
        self.launched.append(worker)

    def explain(self) -> str:
        return self.why

    def let_go(self) -> None:
        """Holds nothing."""

    def close(self) -> None:
        """Has nothing to end."""


@pytest.fixture
def launcher() -> Launcher:
    return Launcher()


@pytest.fixture
def fleet(session: OwnedSession, launcher: Launcher) -> Fleet:
    return Fleet(session, launcher)


def submit(session: OwnedSession) -> None:
    parts = ("pids", "workers", "starting", "ready", "keys")
    args = (session.keys.base, "uid", session.uid, "name", b"", session.ttl, FIRST_PID, 2)
    session.store.ask(*session.script("submit", parts, args))


def check_in(session: OwnedSession, worker: str) -> None:
    parts = ("alive", "workers", "starting", "ready", "keys")
    args = (session.keys.base, worker, 1, "host", 60_000, session.ttl)
    assert session.store.ask(*session.script("check_in", parts, args)) >= 0


def told(session: OwnedSession) -> list[Any]:
    frames = session.store.ask("LRANGE", session.keys("inbox", session.uid), 0, -1)
    return [json.loads(frame) for frame in frames]


def test_a_worker_is_launched_for_what_waits_up_to_the_limit(fleet: Fleet, launcher: Launcher) -> None:
    fleet.want(workers=0, starting=0, waiting=1)
    fleet.want(workers=0, starting=1, waiting=1)
    assert len(launcher.launched) == 1
    fleet.want(workers=0, starting=1, waiting=2)
    fleet.want(workers=1, starting=1, waiting=3)
    assert len(launcher.launched) == 2


def awaited(session: OwnedSession) -> set[str]:
    return {name.decode() for name in session.store.ask("SMEMBERS", session.keys("starting"))}


def test_all_are_launched_for_those_that_will_wait(
    fleet: Fleet, launcher: Launcher, session: OwnedSession
) -> None:
    launcher.limit = None
    fleet.want(workers=0, starting=0, waiting=1, more=4)
    assert len(launcher.launched) == 5
    assert awaited(session) == set(launcher.launched)
    fleet.want(workers=0, starting=5, waiting=2, more=4)
    assert len(launcher.launched) == 6


def test_of_workers_with_several_cores_only_those_that_are_needed_are_awaited(
    fleet: Fleet, launcher: Launcher, session: OwnedSession
) -> None:
    launcher.limit = 100
    fleet.want(workers=0, starting=0, waiting=1, more=8)
    first, *others = launcher.launched
    check_in(session, first)
    fleet.ready(first, cores=4)
    # Nine processes.
    assert awaited(session) == set(others[:2])
    assert session.limit == 25
    for worker in others[:2]:
        check_in(session, worker)
        fleet.ready(worker, cores=4)
    # Those that are not awaited are not missed either.
    session.config = dataclasses.replace(session.config, launch_timeout=0.0)
    fleet.look()
    assert told(session) == []


def test_one_that_has_come_when_fewer_are_needed_is_told_to_leave(
    fleet: Fleet, launcher: Launcher, session: OwnedSession
) -> None:
    launcher.limit = None
    fleet.want(workers=0, starting=0, waiting=1, more=3)
    first, *_, last = launcher.launched
    for worker in (first, last):
        check_in(session, worker)
    fleet.ready(first, cores=4)
    fleet.ready(last, cores=4)
    session.store.settle()
    words = [session.store.ask("LRANGE", session.keys("control", one), 0, -1) for one in (first, last)]
    assert words == [[], [b'{"kind":"leave"}\n']]
    # It may have been given something: its end is noticed.
    submit(session)
    submit(session)
    # It has taken it, and vanishes.
    session.store.call(("DEL", session.keys("control", last), session.keys("lease", last)))
    fleet.look()
    assert [head["worker"] for head in told(session)] == [last]


def test_what_is_refused_for_one_is_not_tried_for_the_next(
    fleet: Fleet, launcher: Launcher, session: OwnedSession, caplog: pytest.LogCaptureFixture
) -> None:
    launcher.limit = None
    launcher.room = 2
    submit(session)
    fleet.want(workers=0, starting=0, waiting=1, more=4)
    assert launcher.asked == 3
    assert awaited(session) == set(launcher.launched)
    assert "no further worker could be launched" in caplog.text
    launcher.room = 0
    with pytest.raises(LaunchError):
        fleet.want(workers=0, starting=0, waiting=3, more=4)
    assert awaited(session) == set(launcher.launched)


def test_the_first_refusal_is_raised_and_a_later_one_is_not(
    fleet: Fleet, launcher: Launcher, session: OwnedSession
) -> None:
    launcher.refuses = True
    with pytest.raises(LaunchError, match="no such command"):
        fleet.want(workers=0, starting=0, waiting=1)
    assert session.store.ask("EXISTS", session.keys("starting")) == 0
    fleet.want(workers=1, starting=0, waiting=1)


def test_the_first_worker_is_waited_for(fleet: Fleet, launcher: Launcher) -> None:
    fleet.want(workers=0, starting=0, waiting=1)
    with pytest.raises(LaunchError, match=r"within 0 s: .*TRANSPARENT_MP_WORKER_REDIS_URL"):
        fleet.await_first(0.0)
    fleet.ready(launcher.launched[0])
    fleet.await_first(0.0)


@pytest.mark.parametrize(
    ("how", "error"),
    [(Fleet.gone, LaunchError), (Fleet.refused, WorkerMismatchError)],
    ids=["ended", "refused"],
)
def test_workers_that_never_come_are_said_to(
    fleet: Fleet, launcher: Launcher, session: OwnedSession, how: Any, error: Any
) -> None:
    submit(session)
    fleet.want(workers=0, starting=0, waiting=1)
    how(fleet, launcher.launched[0], "it was broken")
    with pytest.raises(error, match="no worker could be started: it was broken"):
        fleet.await_first(60.0)
    # What waited for it has ended.
    assert told(session) == [{"kind": "exit", "pid": FIRST_PID, "code": VANISHED, "worker": ""}]


def test_a_lost_worker_s_processes_have_ended_once(
    fleet: Fleet, launcher: Launcher, session: OwnedSession
) -> None:
    submit(session)
    fleet.want(workers=0, starting=0, waiting=1)
    (worker,) = launcher.launched
    check_in(session, worker)
    assert session.store.ask("LPOP", session.keys("control", worker))
    fleet.ready(worker)
    fleet.look()
    assert told(session) == []
    session.store.call(("DEL", session.keys("lease", worker)))
    fleet.look()
    fleet.gone(worker, "seen to end as well")
    assert told(session) == [{"kind": "exit", "pid": FIRST_PID, "code": VANISHED, "worker": worker}]


@pytest.mark.parametrize("seen", ["to end", "by its lease"])
def test_what_a_lost_worker_had_not_taken_is_run_by_another(
    fleet: Fleet, launcher: Launcher, session: OwnedSession, seen: str
) -> None:
    submit(session)
    fleet.want(workers=0, starting=0, waiting=1)
    (worker,) = launcher.launched
    check_in(session, worker)
    fleet.ready(worker)
    if seen == "to end":
        fleet.gone(worker, "killed")
    else:
        session.store.call(("DEL", session.keys("lease", worker)))
        fleet.look()
    assert told(session) == []
    _, another = launcher.launched
    check_in(session, another)
    assert session.store.ask("SMEMBERS", session.keys("running", another)) == [b"%d" % FIRST_PID]


def test_another_is_launched_for_what_waits_when_a_worker_is_lost(
    fleet: Fleet, launcher: Launcher, session: OwnedSession
) -> None:
    fleet.want(workers=0, starting=0, waiting=1)
    (worker,) = launcher.launched
    check_in(session, worker)
    fleet.ready(worker)
    submit(session)
    submit(session)
    fleet.gone(worker, "killed")
    assert len(launcher.launched) == 2


def test_at_the_session_s_end_nobody_is_missed(fleet: Fleet, launcher: Launcher) -> None:
    fleet.want(workers=0, starting=0, waiting=1)
    fleet.close()
    fleet.gone(launcher.launched[0], "ended")
    assert len(launcher.launched) == 1


def test_without_a_store_a_worker_s_end_is_no_error(
    fleet: Fleet, launcher: Launcher, session: OwnedSession
) -> None:
    fleet.want(workers=0, starting=0, waiting=1)
    session.store.close()
    fleet.gone(launcher.launched[0], "ended")
    session.store.reset()
