from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from transparent_mp.config import Config
from transparent_mp.errors import StoreError
from transparent_mp.store.session import END_MS, OwnedSession, join, new_id, open_session


def test_an_ended_session_leaves_what_its_workers_are_to_read(session: OwnedSession) -> None:
    second = open_session(Config(redis_url=session.worker_url))
    store, keys = second.store, second.keys
    before = session.store.ask("DBSIZE")
    store.cast(("ZADD", keys("workers"), 0, "w"))
    store.cast(*second.push_event("someone", b"{}\n"))
    store.settle()
    assert session.store.ask("DBSIZE") > before
    second.end()
    control = keys("control", "w")
    assert session.store.ask("KEYS", keys.base + "*") == [control.encode()]
    assert 0 < session.store.ask("PTTL", control) <= END_MS
    assert second.keeper is not None
    assert second.keeper.returncode == 0


def test_a_joined_process_has_the_same_names_and_seal(session: OwnedSession) -> None:
    other = join(session.ticket(), new_id(), Config())
    assert other.keys("alive") == session.keys("alive")
    assert bytes(other.seal.open("here", session.seal.close("here", b"x"))) == b"x"
    assert other.store.ask("GET", session.keys("alive")) == session.uid.encode()
    other.store.close()


def test_no_secret_is_shown(session: OwnedSession) -> None:
    assert session.secret.hex() not in repr(session)
    assert session.worker_url not in repr(session)


def test_a_forked_child_holds_no_lifeline(session: OwnedSession) -> None:
    assert session.keeper is not None
    told: list[str] = []
    session.in_child.append(lambda: told.append("callback"))
    child = os.fork()
    if child == 0:
        session.let_go()
        os._exit(0 if session.keeper.stdin.closed and told == ["callback"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not session.keeper.stdin.closed


def children() -> set[str]:
    found = set()
    for task in Path("/proc/self/task").iterdir():
        # A thread of an earlier test may end just now; it has started nothing.
        with contextlib.suppress(FileNotFoundError):
            found.update((task / "children").read_text().split())
    return found


def test_a_store_that_cannot_be_reached_leaves_no_keeper() -> None:
    before = children()
    with pytest.raises(StoreError, match=r"redis://127\.0\.0\.1:1:"):
        open_session(Config(redis_url="redis://127.0.0.1:1"))
    assert children() == before
