from __future__ import annotations

import threading
from typing import Any, Callable

import pytest

from transparent_mp.store.link import Link
from transparent_mp.store.loading import Wanted, loaded
from transparent_mp.store.pops import PopLine
from transparent_mp.store.session import OwnedSession
from transparent_mp.store.store import Store

PARTS = [b"a" * 3000, b"b" * 3000, b"c" * 1000]


@pytest.fixture
def key(session: OwnedSession) -> str:
    key = session.keys("here")
    session.store.call(
        ("SADD", session.keys("keys"), key), *(("HSET", key, *one) for one in enumerate(PARTS))
    )
    return key


@pytest.fixture
def lent(session: OwnedSession, monkeypatch: pytest.MonkeyPatch) -> list[PopLine]:
    """The lines that were lent, the last one last; some come several times."""
    lines: list[PopLine] = []
    real = session.store.watch

    def noting() -> PopLine:
        lines.append(real())
        return lines[-1]

    monkeypatch.setattr(session.store, "watch", noting)
    return lines


def wanted(key: str) -> list[Wanted]:
    return [(("HGET", key, number), memoryview(bytearray(len(part)))) for number, part in enumerate(PARTS)]


def read(store: Store, looks: list[Wanted]) -> list[bytes | None]:
    return [bytes(into) if here else None for here, (_, into) in zip(loaded(store, looks), looks)]


def test_replies_are_read_to_where_they_shall_lie(session: OwnedSession, key: str) -> None:
    assert read(session.store, wanted(key)) == PARTS


def test_the_next_is_asked_for_before_the_first_is_used(
    session: OwnedSession, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    real = Link.send

    def noting(link: Link, commands: Any) -> None:
        commands = list(commands)
        sent.extend(command[2] for command in commands if command[0] == "HGET")
        real(link, commands)

    monkeypatch.setattr(Link, "send", noting)
    replies = loaded(session.store, wanted(key))
    assert next(replies)
    assert sent == [0, 1]
    assert list(replies) == [True, True]
    assert sent == [0, 1, 2]


def test_what_is_no_string_of_that_length_is_not_there(session: OwnedSession, key: str) -> None:
    for look, length in ((("HGET", key, "none"), 3000), (("NO", key), 3000), (("HGET", key, 1), 2999)):
        looks = wanted(key)
        looks[1] = look, memoryview(bytearray(length))
        first, second, third = read(session.store, looks)
        assert (first, second) == (PARTS[0], None)
        # What came with it may have been read along.
        assert third in (None, PARTS[2])
        assert read(session.store, wanted(key)) == PARTS


def test_what_is_lost_with_its_connection_is_not_there_and_the_store_goes_on(
    session: OwnedSession, key: str, lent: list[PopLine], lose: Callable[..., None]
) -> None:
    replies = loaded(session.store, wanted(key))
    assert next(replies)
    lose(lent[-1])
    assert list(replies)[-1] is False
    assert read(session.store, wanted(key)) == PARTS
    assert lent[-1] is not lent[0]


def test_the_line_is_lent_again_when_all_has_come(
    session: OwnedSession, key: str, lent: list[PopLine]
) -> None:
    for _ in range(2):
        assert read(session.store, wanted(key)) == PARTS
        assert session.store.pop(key + "none", 0) is None
    assert len(set(map(id, lent))) == 1


@pytest.mark.parametrize("where", ["in a read", "between two"])
def test_what_a_signals_handler_raises_leaves_no_reply_for_another(
    session: OwnedSession, key: str, lent: list[PopLine], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    looks = wanted(key)

    def interrupted(*_: Any) -> bool:
        raise KeyboardInterrupt

    replies = loaded(session.store, looks)
    if where == "in a read":
        with monkeypatch.context() as patch:
            patch.setattr(Link, "read_large", interrupted)
            with pytest.raises(KeyboardInterrupt):
                next(replies)
    else:
        assert next(replies)
        with pytest.raises(KeyboardInterrupt):
            replies.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
    assert not lent[-1].usable
    assert read(session.store, looks) == PARTS


def test_who_sends_meanwhile_is_not_held_up(session: OwnedSession, key: str) -> None:
    replies = loaded(session.store, wanted(key))
    assert next(replies)
    sender = threading.Thread(target=session.store.call, args=(("PING",),))
    sender.start()
    sender.join(60)
    assert not sender.is_alive()
    assert list(replies) == [True, True]


def test_nothing_is_read_where_nothing_is_wanted(session: OwnedSession) -> None:
    assert list(loaded(session.store, [])) == []
