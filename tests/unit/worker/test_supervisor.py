"""What a supervisor does without a child; with children it is tested in real programs."""

from __future__ import annotations

import logging
import os
import selectors
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, NoReturn

import pytest
from events import told

from transparent_mp.store.session import OwnedSession, join, new_id
from transparent_mp.worker.running import Running
from transparent_mp.worker.supervisor import State, Supervisor

HERE = list(sys.version_info[:2])


def never(*_: Any) -> NoReturn:
    os._exit(99)


@pytest.fixture
def ticket(session: OwnedSession) -> dict[str, Any]:
    session.store.call(("SADD", session.keys("starting"), "w"))
    return dict(session.ticket(), worker="w", python=HERE, slots=4, linger=0.05)


@pytest.fixture
def supervisor(session: OwnedSession, ticket: dict[str, Any]) -> Iterator[Callable[..., Supervisor]]:
    """Make the worker of that ticket, with changes to it."""
    joined = join(ticket, new_id(), session.config)
    yield lambda lifeline=-1, **changes: Supervisor({**ticket, **changes}, joined, never, lifeline)
    joined.store.close()


def test_an_idle_worker_leaves_after_its_time(session: OwnedSession, supervisor: Any) -> None:
    worker = supervisor()
    assert worker.run() == 0
    assert worker.state is State.EXITED
    assert session.store.ask("ZCARD", session.keys("workers")) == 0
    assert [head["kind"] for head in told(session)] == ["ready", "left"]


def test_one_that_is_not_needed_leaves_at_once(session: OwnedSession, supervisor: Any) -> None:
    session.store.call(("RPUSH", session.keys("control", "w"), b'{"kind": "leave"}\n'))
    worker = supervisor(linger=600)
    assert worker.run() == 0
    assert worker.state is State.EXITED
    assert [head["kind"] for head in told(session)] == ["ready", "left"]


@pytest.mark.parametrize("why", ["not awaited", "session over"])
def test_a_worker_that_is_not_needed_says_nothing(
    session: OwnedSession, supervisor: Any, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    session.store.call(("DEL", session.keys("starting" if why == "not awaited" else "alive")))
    worker = supervisor(linger=600)
    assert (worker.run(), worker.state) == (0, State.EXITED)
    assert session.store.ask("EXISTS", session.keys("inbox", session.client)) == 0
    assert os.listdir(tmp_path) == []


def test_the_end_of_its_lifeline_ends_it_and_leaves_no_key(session: OwnedSession, supervisor: Any) -> None:
    reader, writer = os.pipe()
    os.close(writer)
    worker = supervisor(linger=600, lifeline=reader)
    worker.run()
    os.close(reader)
    assert worker.state is State.EXITED
    assert session.store.ask("EXISTS", session.keys("control", "w"), session.keys("workers")) == 0


def test_the_session_s_end_ends_it(session: OwnedSession, supervisor: Any) -> None:
    session.store.call(("RPUSH", session.keys("control", "w"), b'{"kind": "end"}\n'))
    worker = supervisor(linger=600)
    worker.run()
    assert worker.state is State.EXITED


@pytest.mark.parametrize("ended", [True, False])
def test_a_worker_that_finds_its_keys_gone_says_which_end_it_was(
    session: OwnedSession, supervisor: Any, ended: bool, caplog: pytest.LogCaptureFixture
) -> None:
    worker = supervisor(linger=600)
    keys, see_to_lease = session.keys, worker._see_to_lease

    def keys_go() -> None:
        """Before it has heard anything, and its lease is to be renewed."""
        if ended:
            parts = ("alive", "keys", "objects", "workers", "starting", "answers")
            session.store.call(session.script("end_session", parts, (keys.base, keys.any_object, 10_000)))
        else:
            session.store.call(("DEL", *session.store.ask("KEYS", keys.base + "*")))
        worker._membership.renew_at = 0.0
        see_to_lease()

    worker._see_to_lease = keys_go
    with caplog.at_level(logging.INFO, "transparent_mp"):
        worker.run()
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert (said == []) is ended
    assert ("the session has ended" in caplog.text) is ended
    assert ("has lost its keys" in caplog.text) is not ended


@pytest.mark.parametrize(
    "order", [b"", b"no frame", b"[]\n", b"{}\n", b'{"kind": "run"}\n', b'{"kind": "signal", "pid": []}\n']
)
def test_an_order_that_makes_no_sense_is_ignored(
    session: OwnedSession, supervisor: Any, order: bytes
) -> None:
    session.store.call(("RPUSH", session.keys("control", "w"), order, b'{"kind": "end"}\n'))
    worker = supervisor(linger=600)
    worker.run()
    assert worker.state is State.EXITED
    assert session.store.ask("GET", session.keys("refused")) == b"1"


def test_no_more_of_its_output_is_passed_on_than_is_there_at_a_process_s_end(
    session: OwnedSession, supervisor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child of its own may write on for ever."""
    worker, running = supervisor(), Running()
    running.parent_side(0)
    running.pid = 7
    monkeypatch.setattr(running, "read", lambda _fd: b"12345")
    monkeypatch.setattr(running, "waiting", lambda _fd: 12)
    for fd in running.outputs:
        worker._selector.register(fd, selectors.EVENT_READ)
    worker._running[7] = running
    worker._ended(7, running, 0)
    worker._session.store.settle()
    assert [(head["pid"], head["fd"]) for head in told(session)] == [(7, 1)] * 3 + [(7, 2)] * 3
