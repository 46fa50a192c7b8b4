from __future__ import annotations

import threading
from typing import Any, Callable

import pytest

from transparent_mp.errors import SessionLostError, StoreAwayError, StoreError
from transparent_mp.store.admission import Admission
from transparent_mp.store.connect import connect
from transparent_mp.store.dialling import Dialler
from transparent_mp.store.line import Line
from transparent_mp.store.link import Link
from transparent_mp.store.pops import PopLine
from transparent_mp.store.scripts import loading, script
from transparent_mp.store.session import OwnedSession, new_id


class Server:
    """Answers as it is told: an error each, or a connection."""

    def __init__(self, url: str, *errors: StoreError) -> None:
        self.url = url
        self.errors = list(errors)
        self.asked = 0

    def __call__(self) -> Link:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return connect(self.url)


def starting() -> StoreAwayError:
    error = StoreAwayError("it is still loading its data")
    error.starting = True
    return error


def dialled(
    server: Server, patience: float = 5.0, admission: Admission | None = None
) -> tuple[Dialler, Line]:
    dialler = Dialler(server, loading(), patience, False)
    dialler.admission = admission
    return dialler, Line(dialler.dial)


def test_a_server_that_starts_is_asked_again(session: OwnedSession) -> None:
    server = Server(session.worker_url, starting(), starting())
    dialler, one = dialled(server)
    dialler.dial(one, shared=True)
    assert server.asked == 3
    assert one.usable
    one.close()


@pytest.mark.parametrize("error", [StoreAwayError("nobody listens"), StoreError("wrong password")])
def test_an_address_at_which_nobody_has_listened_is_not_asked_again(
    session: OwnedSession, error: StoreError
) -> None:
    server = Server(session.worker_url, error)
    dialler, one = dialled(server)
    with pytest.raises(type(error), match=str(error)):
        dialler.dial(one)
    assert server.asked == 1
    # It was never met, so it may yet come.
    dialler.check()
    dialler.dial(one)
    one.close()


def test_a_store_that_stays_away_is_gone_for_every_line(session: OwnedSession) -> None:
    server = Server(session.worker_url)
    admission = Admission(session.keys, session.ttl, new_id())
    dialler, one = dialled(server, 0.1, admission)
    dialler.dial(one)
    server.errors = [StoreAwayError("nobody listens") for _ in range(100)]
    with pytest.raises(StoreAwayError, match="nobody listens"):
        dialler.dial(one)
    assert 2 < server.asked < 20
    asked = server.asked
    for attempt in (dialler.check, lambda: dialler.dial(Line(dialler.dial))):
        with pytest.raises(StoreAwayError, match="nobody listens"):
            attempt()
    assert server.asked == asked
    # A forked child makes its own experience.
    dialler.reset()
    dialler.check()


def test_the_link_before_is_ended_at_the_server(session: OwnedSession, line: Callable[..., Any]) -> None:
    one = line()
    before = one.link.number
    one.renew()
    clients = session.store.ask("CLIENT", "LIST").decode()
    assert f"id={before} " not in clients
    assert f"id={one.link.number} " in clients


@pytest.mark.parametrize(
    ("member", "change", "why"),
    [
        (("", ""), ("DEL", "alive"), "its client has ended or lost its lease"),
        (("worker", "w"), None, "this process was taken for dead"),
        (("process", "1"), None, "this process was taken for dead"),
    ],
)
def test_who_may_not_take_part_is_told_why(
    session: OwnedSession, member: tuple[str, str], change: tuple[str, str] | None, why: str
) -> None:
    if change is not None:
        session.store.call((change[0], session.keys(change[1])))
    admission = Admission(session.keys, session.ttl, new_id(), member)
    dialler, one = dialled(Server(session.worker_url), admission=admission)
    with pytest.raises(SessionLostError, match=why):
        dialler.dial(one)
    assert not one.usable


def test_what_the_store_has_answered_and_forgotten_is_noticed(
    session: OwnedSession, line: Callable[..., Any], dialler: Dialler
) -> None:
    one = line()
    one.put([("SADD", session.keys("keys"), "k")], None, None)
    one.take(1)
    session.store.call(("HSET", one.key, "n", 0))
    with pytest.raises(SessionLostError, match="the store has lost its keys"):
        dialler.dial(one)


def test_whoever_waits_is_told_of_the_end(
    session: OwnedSession, line: Callable[..., Any], dialler: Dialler
) -> None:
    one, told = line(PopLine), []
    one.pop(session.keys.object("o", "q0"))

    def wait() -> None:
        try:
            one.collect()
        except SessionLostError as error:
            told.append(str(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    dialler.lose(SessionLostError("its lease is over"))
    waiting.join()
    assert told == ["its lease is over"]
    with pytest.raises(SessionLostError, match="its lease is over"):
        dialler.check()


@pytest.mark.parametrize("kind", [Line, PopLine])
def test_a_link_that_is_admitted_finds_the_scripts_though_the_server_was_restarted(
    session: OwnedSession, dialler: Dialler, kind: Any
) -> None:
    prepared = Dialler(dialler._connect, loading(), 5.0, True)
    prepared.admission = dialler.admission
    session.store.ask("SCRIPT", "FLUSH")
    line = kind(prepared.dial)
    prepared.dial(line, shared=kind is Line)
    # By no way that looks at the answer.
    line.link.send([script("do", (), (2, "ECHO", "here"))])
    assert line.link.read() == [b"here"]
    line.close()
