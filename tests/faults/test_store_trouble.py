"""What a real server does to a session when it is restarted, filled, loading, or a replica."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faults.conftest import Server
from faults.proxy import Proxy
from faults.test_reconnection import Objects, member, together
from transparent_mp.config import Config
from transparent_mp.errors import SessionLostError, StoreError
from transparent_mp.primitives.sent import Sent
from transparent_mp.store.connect import connect
from transparent_mp.store.scripts import script
from transparent_mp.store.session import OwnedSession, open_session

#: Seconds that a session of these tests survives without its store.
LEASE = 8.0


@pytest.fixture
def direct(server: Server) -> Iterator[OwnedSession]:
    """A session without a proxy in between."""
    session = open_session(Config(redis_url=f"redis://127.0.0.1:{server.port}", lease=LEASE))
    yield session
    session.end()


class Admin:
    """Orders to the server, on a link of their own."""

    def __init__(self, server: Server) -> None:
        self._link = connect(f"redis://127.0.0.1:{server.port}")

    def ask(self, *words: Any) -> Any:
        self._link.send([words])
        return self._link.read()

    def close(self) -> None:
        self._link.close()


@pytest.fixture
def admin(server: Server) -> Iterator[Admin]:
    admin = Admin(server)
    yield admin
    admin.close()


def test_a_server_that_is_restarted_with_its_data_is_a_pause(direct: OwnedSession, server: Server) -> None:
    objects, one, other = Objects(direct), member(direct), member(direct)
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.append(objects.get(other)))
    waiting.start()
    objects.put(one, b"first")
    waiting.join()
    waiting = threading.Thread(target=lambda: got.append(objects.get(other)))
    waiting.start()
    server.kill()
    # Sent into nothing, and kept.
    objects.put(one, b"second")
    server.start()
    # With whatever it does next, or when it waits.
    assert objects.count(one) == 1
    waiting.join()
    assert got == [b"first", b"second"]
    assert direct.store.ask("GET", direct.keys("alive")) is not None
    for each in (one, other):
        each.store.close()


def test_a_server_that_is_restarted_empty_ends_the_session_with_one_error(
    direct: OwnedSession, server: Server
) -> None:
    objects, one, other = Objects(direct), member(direct), member(direct)
    objects.count(other)
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            objects.get(other)
        except StoreError as error:
            raised.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    objects.count(one)
    server.kill()
    server.forget()
    server.start()
    waiting.join()
    for attempt in (lambda: objects.count(one), lambda: objects.count(one), lambda: objects.get(one)):
        with pytest.raises(SessionLostError, match="the store has lost its keys") as told:
            attempt()
        raised.append(told.value)
    assert {type(error) for error in raised} == {SessionLostError}
    for each in (one, other):
        each.store.close()


def test_a_server_that_stays_away_ends_the_session_when_the_lease_is_over(
    server: Server, proxy: Proxy
) -> None:
    session = open_session(Config(redis_url=proxy.url(), lease=0.5))
    objects = Objects(session)
    session.store.settle()
    proxy.refuse()
    for _ in range(2):
        with pytest.raises(
            StoreError, match=r"cannot use the store at redis://127.0.0.1:\d+: |lost the conn"
        ):
            objects.count(session)
    session.end()


def test_a_full_server_is_named_and_can_be_emptied(direct: OwnedSession, admin: Admin) -> None:
    objects = Objects(direct)
    objects.put(direct, *[b"x" * 1000] * 5)
    direct.store.settle()
    admin.ask("CONFIG", "SET", "maxmemory", "1mb")
    objects.put(direct, b"one too many")
    objects.put(direct, b"and another")
    with pytest.raises(StoreError, match=r"its memory is full \(maxmemory\); raise maxmemory"):
        direct.store.settle()
    # Whoever reads makes room.
    assert objects.get(direct) == b"x" * 1000
    assert objects.get(direct, 0) == b"x" * 1000
    admin.ask("CONFIG", "SET", "maxmemory", "0")
    objects.put(direct, b"after that")
    assert [objects.get(direct) for _ in range(3)] == [b"x" * 1000] * 3
    assert objects.get(direct, 0) == b"after that"


def test_a_message_that_a_full_server_refuses_is_told(direct: OwnedSession, admin: Admin) -> None:
    """A pipe looks at the answers to its messages itself, for who has closed the other end."""
    objects = Objects(direct)
    sent = Sent()
    direct.store.settle()
    admin.ask("CONFIG", "SET", "maxmemory", "1mb")
    sent.begin(direct.store)
    push = script("push", (objects.holders, objects.queue), (objects.ttl, b"one too many"))
    direct.store.cast(push, on_reply=sent)
    with pytest.raises(StoreError, match=r"its memory is full \(maxmemory\)"):
        direct.store.settle()
    admin.ask("CONFIG", "SET", "maxmemory", "0")
    sent.begin(direct.store)
    assert direct.store.ask("LLEN", objects.queue) == 0


def test_scripts_that_are_flushed_are_loaded_again(direct: OwnedSession, admin: Admin) -> None:
    objects = Objects(direct)
    for number in range(3):
        objects.put(direct, b"%d" % number)
        direct.store.settle()
        admin.ask("SCRIPT", "FLUSH")
        objects.put(direct, b"%d again" % number)
        assert objects.count(direct) == number + 1
    assert direct.store.ask("LRANGE", objects.queue, 0, -1) == [
        word for number in range(3) for word in (b"%d" % number, b"%d again" % number)
    ]


def test_a_master_that_becomes_a_replica_is_waited_for(direct: OwnedSession, admin: Admin) -> None:
    objects = Objects(direct)
    direct.store.settle()
    # Of nobody: the data stays.
    admin.ask("REPLICAOF", "127.0.0.1", "1")
    turned = threading.Timer(0.3, admin.ask, ("REPLICAOF", "NO", "ONE"))
    turned.start()
    objects.put(direct, b"for the master")
    assert objects.count(direct) == 1
    turned.join()
    assert objects.get(direct) == b"for the master"


def test_a_replica_is_named(server: Server, admin: Admin) -> None:
    admin.ask("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StoreError, match=r"read-only replica; put the address of the master|lost its master"):
        open_session(Config(redis_url=f"redis://127.0.0.1:{server.port}", lease=0.5))


def test_a_user_who_loses_a_right_is_told(direct: OwnedSession, server: Server, admin: Admin) -> None:
    admin.ask("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@all")
    session = open_session(Config(redis_url=f"redis://ann:pw@127.0.0.1:{server.port}", lease=LEASE))
    objects = Objects(session)
    admin.ask("ACL", "SETUSER", "ann", "-evalsha")
    objects.put(session, b"refused")
    with pytest.raises(StoreError, match="its user may not do this; give the user the rights") as told:
        session.store.settle()
    assert "pw" not in str(told.value)
    admin.ask("ACL", "SETUSER", "ann", "+evalsha")
    assert objects.count(session) == 1
    session.end()


def test_a_server_that_loads_its_data_is_waited_for(tmp_path: Path) -> None:
    place = tmp_path / "slow"
    place.mkdir()
    server = Server(place, "--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
    server.start()
    link = connect(f"redis://127.0.0.1:{server.port}")
    # A thousand keys of a millisecond each.
    link.send([("DEBUG", "POPULATE", "1000"), ("BGREWRITEAOF",), ("INFO", "persistence")])
    for _ in range(3):
        link.read()
    link.close()
    server.kill()
    starting = threading.Thread(target=server.start)
    starting.start()
    begun = time.monotonic()
    while True:
        try:
            session = open_session(Config(redis_url=f"redis://127.0.0.1:{server.port}", lease=30.0))
            break
        except StoreError as error:
            # It does not listen yet.
            if "refused" not in str(error) or time.monotonic() - begun > 60:
                raise
    assert session.store.ask("PING") == b"PONG"
    starting.join()
    session.end()
    server.kill()


def test_both_sides_go_on_after_many_cuts(session: OwnedSession, proxy: Proxy) -> None:
    objects, one, other = Objects(session), member(session), member(session)
    got: list[Any] = []

    def send() -> None:
        for number in range(200):
            objects.put(one, b"%d" % number)
            if number % 20 == 0:
                proxy.cut()
        one.store.settle()

    together(send, lambda: got.extend(objects.get(other) for _ in range(200)))
    assert got == [b"%d" % number for number in range(200)]
    for each in (one, other):
        each.store.close()
