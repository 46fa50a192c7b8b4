from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from transparent_mp.config import Config
from transparent_mp.ship import requests
from transparent_mp.ship.files import TOPIC, inbox_of
from transparent_mp.ship.frames import encode
from transparent_mp.ship.served import Served, forget_files, sees_the_same
from transparent_mp.store.session import OwnedSession, Session, join


@pytest.fixture
def served(session: OwnedSession, tmp_path: Path) -> Any:
    session.config = Config(roots=str(tmp_path), lease=session.config.lease)
    served = Served(session)
    served.start()
    session.before_end.append(served.stop)
    return served


@pytest.fixture
def worker(session: OwnedSession, served: Served) -> Iterator[Session]:
    worker = join(session.ticket(), "worker", Config())
    yield worker
    worker.store.close()


def write(session: Session, path: Path, content: bytes) -> None:
    fields = {"path": str(path), "flags": os.O_WRONLY | os.O_CREAT, "mode": 0o644, "have": "", "whole": False}
    requests.ask(session, TOPIC, {"op": "open", "h": "h", "pid": 5_000_001, **fields}, of=inbox_of(session))
    requests.send(session, TOPIC, {"op": "write", "h": "h", "at": 0}, content, of=inbox_of(session))


def test_what_a_process_is_told_tells_whether_it_needs_the_server(served: Served, session: Session) -> None:
    assert sees_the_same(session.served)
    assert not sees_the_same({**session.served, "view": ["another", *session.served["view"][1:]]})
    assert not sees_the_same({"roots": ["/"], "view": []})
    assert not sees_the_same({})


def test_settled_is_what_arrived_before(served: Served, worker: Session, tmp_path: Path) -> None:
    for number in range(20):
        write(worker, tmp_path / str(number), b"x" * 300_000)
        worker.store.settle()
        served.ended(5_000_002)
        assert (tmp_path / str(number)).stat().st_size == 300_000


def test_of_an_ended_process_nothing_stays_open(served: Served, worker: Session, tmp_path: Path) -> None:
    write(worker, tmp_path / "file", b"content")
    worker.served = {**worker.served, "view": ["another machine's"]}
    assert served._server.pids() == {5_000_001}
    forget_files(worker, 5_000_001)
    worker.store.settle()
    served.ended(5_000_002)
    assert served._server.pids() == set()
    # Its worker has vanished, and told nothing.
    write(worker, tmp_path / "file", b"content")
    worker.store.settle()
    served.ended(5_000_001)
    assert served._server.pids() == set()
    # One whose end nobody has told is found out.
    write(worker, tmp_path / "file", b"content")
    served._forget_ended()
    served.ended(5_000_002)
    assert served._server.pids() == set()


def test_one_that_is_found_to_have_ended_loses_nothing_that_has_arrived(
    served: Served, worker: Session, tmp_path: Path
) -> None:
    write(worker, tmp_path / "file", b"0")
    worker.store.settle()
    served.ended(5_000_002)
    # The inbox's thread is about something else, and the process wrote on.
    entered, free = threading.Event(), threading.Event()
    served._inbox.on("slow", lambda *_: (entered.set(), free.wait(60)))
    served._session.store.call(
        *served._session.push_event(inbox_of(served._session), encode({"kind": "slow"}))
    )
    assert entered.wait(60)
    for at in range(1, 10):
        fields = {"op": "write", "h": "h", "at": at}
        requests.send(worker, TOPIC, fields, b"%d" % at, of=inbox_of(worker))
    worker.store.settle()
    served._forget_ended()
    free.set()
    served.ended(5_000_002)
    assert (tmp_path / "file").read_bytes() == b"0123456789"
    assert served._server.pids() == set()


def test_who_waits_is_let_go_at_the_end(served: Served, worker: Session, tmp_path: Path) -> None:
    write(worker, tmp_path / "file", b"content")
    served.stop()
    thread = threading.Thread(target=served.ended, args=(5_000_001,))
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


def test_where_the_program_stands_is_a_root_unless_they_are_set(
    session: OwnedSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/none")
    for config, added in ((Config(), True), (Config(roots="/usr"), False), (Config(roots="none"), False)):
        session.config = config
        served = Served(session)
        served.standing_in("/opt")
        assert ("/opt" in session.served["roots"]) is added
    assert session.served["roots"] == []
