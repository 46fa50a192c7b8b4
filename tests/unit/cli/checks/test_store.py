from __future__ import annotations

import os

import pytest

from transparent_mp.cli.checks import store
from transparent_mp.cli.checks.line import Line, Verdict
from transparent_mp.config import Config
from transparent_mp.store.session import OwnedSession


def verdicts(lines: list[Line]) -> dict[str, Verdict]:
    return {line.what: line.verdict for line in lines}


def test_without_an_address_the_embedded_server_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = store.check(Config())
    assert (line.verdict, line.what) == (Verdict.WELL, "Redis")
    monkeypatch.setattr(os, "environ", {"PATH": "/nowhere"})
    monkeypatch.setattr("transparent_mp.store.server._BUNDLED", ())
    (line,) = store.check(Config())
    assert line.verdict is Verdict.WRONG
    assert "TRANSPARENT_MP_REDIS_URL" in line.remedy


def test_a_server_is_measured_and_told(session: OwnedSession) -> None:
    lines = list(store.check(Config(redis_url=session.worker_url)))
    assert set(verdicts(lines).values()) == {Verdict.WELL}
    assert lines[0].found.endswith(" ms")
    password = session.worker_url.partition(":")[2].partition(":")[2].partition("@")[0]
    assert password
    assert password not in "".join(line.text() for line in lines)


def test_a_server_that_evicts_or_takes_few_connections_is_told(session: OwnedSession) -> None:
    for name, value in {"maxmemory": "1gb", "maxmemory-policy": "allkeys-lru", "maxclients": "50"}.items():
        session.store.ask("CONFIG", "SET", name, value)
    lines = verdicts(list(store.check(Config(redis_url=session.worker_url, workers=20))))
    assert lines["Redis's memory"] is Verdict.WRONG
    assert lines["Redis's connections"] is Verdict.DOUBTFUL


def test_one_that_is_not_there_is_said() -> None:
    (line,) = store.check(Config(redis_url="redis://127.0.0.1:9"))
    assert line.verdict is Verdict.WRONG
    assert "Connection refused" in line.found


def test_a_user_without_info_is_enough(session: OwnedSession) -> None:
    session.store.ask("ACL", "SETUSER", "someone", "on", ">secret", "~tmp:*", "+ping", "+client|info")
    url = "redis://someone:secret@" + session.worker_url.rpartition("@")[2]
    first, second = store.check(Config(redis_url=url))
    assert (first.verdict, second.verdict) == (Verdict.WELL, Verdict.DOUBTFUL)
    assert "noeviction" in second.remedy
