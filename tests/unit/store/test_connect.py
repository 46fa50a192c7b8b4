from __future__ import annotations

import socket

import pytest

from transparent_mp.errors import ConfigError, StoreError
from transparent_mp.store import connect as module
from transparent_mp.store.connect import connect, public
from transparent_mp.store.session import OwnedSession


@pytest.mark.parametrize("user", ["", ":secret@"], ids=["no password", "password"])
def test_a_server_that_takes_connections_and_says_nothing(monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    monkeypatch.setattr(module, "CONNECT_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        with pytest.raises(
            StoreError, match=f"redis://127.0.0.1:{port}: .*check TRANSPARENT_MP_REDIS_URL"
        ) as told:
            connect(f"redis://{user}127.0.0.1:{port}")
    assert "secret" not in str(told.value)


def test_a_made_link_waits_without_limit(session: OwnedSession) -> None:
    link = session.store._connect()
    assert link._sock.gettimeout() is None
    link.send([("ECHO", "x")])
    assert link.read() == b"x"
    link.close()


def test_an_address_that_means_nothing_is_named() -> None:
    with pytest.raises(ConfigError, match="redis://host:port/x is not understood"):
        connect("redis://user:secret@host:port/x")


def test_public_leaves_out_user_and_password() -> None:
    assert public("rediss://user:p%40ss@host:1/2?x=y") == "rediss://host:1/2"
    assert "pw" not in public("unix://user:pw@/run/redis.sock")
