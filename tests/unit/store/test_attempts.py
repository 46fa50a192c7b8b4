from __future__ import annotations

import socket
from typing import Any

import pytest

from transparent_mp.errors import StoreReplyError
from transparent_mp.store.attempts import attempt
from transparent_mp.store.session import OwnedSession, join, new_id


@pytest.fixture
def member(session: OwnedSession) -> Any:
    member = join(session.ticket(), new_id(), session.config)
    yield member
    member.store.close()


@pytest.fixture
def keys(session: OwnedSession) -> tuple[str, str]:
    return session.keys.object("o", "q0"), session.keys.object("o", "q1")


def never() -> None:
    raise AssertionError("nothing was lost")


def moving(keys: tuple[str, str]) -> list[tuple[Any, ...]]:
    return [("BLMOVE", *keys, "LEFT", "RIGHT", 0), ("LLEN", keys[1])]


def test_an_element_is_moved_and_what_stands_behind_is_done(
    session: OwnedSession, member: Any, keys: tuple[str, str]
) -> None:
    session.store.call(("RPUSH", keys[0], "a"))
    assert attempt(member.store, moving(keys), None, never) == [b"a", 1]
    # The line is kept for the next one.
    assert len(member.store._pops._idle) == 1


def test_a_wait_ends_in_time_and_moves_nothing_after(
    session: OwnedSession, member: Any, keys: tuple[str, str]
) -> None:
    assert attempt(member.store, moving(keys), 0.01, never) == [None, 0]
    session.store.call(("RPUSH", keys[0], "a"))
    assert session.store.ask("LLEN", keys[0]) == 1


@pytest.mark.parametrize("known", [None, [b"found", 7]])
def test_after_a_loss_it_is_looked_for_and_else_waited_for_again(
    session: OwnedSession, member: Any, keys: tuple[str, str], known: Any
) -> None:
    line = member.store.watch()
    line.link._sock.shutdown(socket.SHUT_RDWR)
    member.store.unwatch(line)
    asked = []

    def found() -> Any:
        asked.append(1)
        session.store.call(("RPUSH", keys[0], "a"))
        return known

    assert attempt(member.store, moving(keys), None, found) == (known or [b"a", 1])
    assert asked == [1]
    assert session.store.ask("LLEN", keys[1]) == (0 if known else 1)


def test_what_was_moved_is_found_when_the_server_has_lost_the_scripts(
    session: OwnedSession, member: Any, keys: tuple[str, str]
) -> None:
    # Of a line that was admitted before: who is admitted after finds them.
    member.store.unwatch(member.store.watch())
    session.store.call(("RPUSH", keys[0], "a"))
    session.store.ask("SCRIPT", "FLUSH")
    commands = [moving(keys)[0], session.script("fetch", ())]

    def found() -> Any:
        return [session.store.ask("LINDEX", keys[1], 0), "found"]

    assert attempt(member.store, commands, None, found) == [b"a", "found"]
    assert session.store.ask("LLEN", keys[0]) == 0


def test_an_interruption_ends_the_wait_at_the_server(
    session: OwnedSession, member: Any, keys: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = []

    def interrupted(line: Any, _timeout: Any, *, alone: bool) -> bool:
        assert alone
        numbers.append(line.link.number)
        raise KeyboardInterrupt

    monkeypatch.setattr(member.store, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        attempt(member.store, moving(keys), None, never)
    member.store.settle()
    assert f"id={numbers[0]} " not in session.store.ask("CLIENT", "LIST").decode()
    session.store.call(("RPUSH", keys[0], "a"))
    assert session.store.ask("LLEN", keys[0]) == 1


def test_an_error_is_raised(session: OwnedSession, member: Any, keys: tuple[str, str]) -> None:
    session.store.call(("SET", keys[0], 1))
    with pytest.raises(StoreReplyError, match="WRONGTYPE"):
        attempt(member.store, moving(keys), None, never)
    session.store.call(("DEL", keys[0]))
