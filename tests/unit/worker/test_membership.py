from __future__ import annotations

import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from events import told

from transparent_mp.store.keys import FIRST_PID
from transparent_mp.store.session import OwnedSession
from transparent_mp.worker.membership import Membership, mismatch, refuse

HERE = list(sys.version_info[:2])


@pytest.fixture
def ticket(session: OwnedSession) -> dict[str, Any]:
    session.store.call(("SADD", session.keys("starting"), "w"))
    return dict(session.ticket(), worker="w", python=HERE, slots=4, cores=2)


@pytest.fixture
def membership(session: OwnedSession, ticket: dict[str, Any]) -> Membership:
    return Membership(session, ticket)


def submit(session: OwnedSession) -> Any:
    parts = ("pids", "workers", "starting", "ready", "keys")
    args = (session.keys.base, "uid", "parent", "name", b"", session.ttl, FIRST_PID, 0)
    return session.store.ask(*session.script("submit", parts, args))


def test_a_launch_is_admitted_once(session: OwnedSession, membership: Membership) -> None:
    assert membership.check_in()
    assert not membership.check_in()
    (ready,) = told(session)
    assert (ready["kind"], ready["worker"], ready["cores"]) == ("ready", "w", 2)


def test_the_lease_is_renewed_from_when_it_was_asked_for(
    session: OwnedSession, membership: Membership
) -> None:
    before = time.monotonic()
    membership.check_in()
    assert before < membership.renew_at < before + session.lease
    assert membership.renew()
    assert before + session.lease < membership.over_at <= time.monotonic() + session.lease
    session.store.call(("ZREM", session.keys("workers"), "w"))
    assert not membership.renew()


def test_the_lease_is_kept_while_the_supervisor_is_busy(
    session: OwnedSession, ticket: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    membership = Membership(session, ticket)
    membership.check_in()
    threads = threading.active_count()
    renewed = threading.Event()
    monkeypatch.setattr(membership, "_session", SimpleNamespace(lease=0.03))
    monkeypatch.setattr(membership, "renew", lambda: bool(renewed.set()) or True)
    with membership.kept():
        assert renewed.wait(60)
    # Whoever forks next is alone.
    assert threading.active_count() == threads


def test_who_has_retired_is_given_nothing_and_what_waits_is_told(
    session: OwnedSession, membership: Membership
) -> None:
    membership.check_in()
    _pid, given, *_ = submit(session)
    assert given == 1
    membership.retire()
    _pid, given, workers, _starting, waiting, _missing = submit(session)
    assert (given, workers, waiting) == (0, 0, 1)
    membership.retire()
    assert told(session)[-1] == {"kind": "want", "workers": 0, "starting": 0, "waiting": 1}
    # It keeps its lease until it leaves.
    assert membership.renew()


def test_who_leaves_says_so_and_who_has_work_does_not_leave(
    session: OwnedSession, membership: Membership
) -> None:
    membership.check_in()
    submit(session)
    assert not membership.leave()
    session.store.call(("DEL", session.keys("control", "w"), session.keys("running", "w")))
    assert membership.leave()
    assert told(session)[-1] == {"kind": "left", "worker": "w"}


@pytest.mark.parametrize("python", [[3, 1], [HERE[0], HERE[1] + 1]])
def test_another_python_version_is_named_with_the_remedy(python: list[int]) -> None:
    why = mismatch({"python": python})
    assert f"the worker runs Python {HERE[0]}.{HERE[1]} and the client Python {python[0]}.{python[1]}" in why
    assert "give the worker the client's version" in why
    assert mismatch({"python": HERE}) == ""


def test_a_refusal_is_told_to_the_client(session: OwnedSession, ticket: dict[str, Any]) -> None:
    refuse(session, ticket, "because")
    assert told(session) == [{"kind": "refused", "worker": "w", "why": "because"}]
