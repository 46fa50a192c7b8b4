from __future__ import annotations

from typing import Any, Callable

import pytest

from transparent_mp.errors import SessionLostError, StoreAwayError, StoreReplyError
from transparent_mp.store.connect import connect
from transparent_mp.store.line import COPIED, Line
from transparent_mp.store.link import Link
from transparent_mp.store.session import OwnedSession

Make = Callable[..., Any]


@pytest.fixture
def key(session: OwnedSession) -> str:
    return session.keys.object("o", "q0")


def test_what_is_unanswered_is_done_once_and_in_order_after_a_loss(
    session: OwnedSession, line: Make, lose: Callable[[Line], None], key: str
) -> None:
    one, replies = line(), []
    for number in range(3):
        one.put([("RPUSH", key, number)], None, None if number < 2 else replies.append)
    # They are there, and their answers are not here. The store keeps that of the last one only.
    while session.store.ask("LLEN", key) < 3:
        continue
    assert one.answered() == 0
    lose(one)
    one.put([("RPUSH", key, 3), ("LLEN", key)], replies.append, replies.append)
    one.take(5)
    assert replies == [3, 4, 4]
    assert session.store.ask("LRANGE", key, 0, -1) == [b"0", b"1", b"2", b"3"]
    assert not one.kept
    assert one.kept_bytes == 0
    assert one.answered() == one.number > 0


def test_a_loss_is_found_when_answers_are_looked_for(
    line: Make, lose: Callable[[Line], None], key: str
) -> None:
    one, replies = line(), []
    lose(one)
    assert one.lost()
    one.take_ready()
    assert not one.lost()
    one.put([("RPUSH", key, 1)], None, replies.append)
    one.take(1)
    assert replies == [1]


class Silent(Link):
    """A connection that has died without a word: what the other side says does not come."""

    def __init__(self, link: Link) -> None:
        super().__init__(link._sock, link.address)
        self.number, self.name = link.number, link.name

    def pull(self, timeout: float = 0.0) -> None:
        """Nothing has come by then."""


def test_who_insists_does_not_wait_on_a_connection_that_says_nothing(line: Make, key: str) -> None:
    one, replies = line(), []
    one.link = Silent(one.link)
    one.put([("RPUSH", key, 1), ("LLEN", key)], replies.append, replies.append)
    one.insist(0.01)
    # Another one was made for it, and it was done once.
    assert replies == [1, 1]
    link = one.link
    assert type(link) is Link
    # One that answers is kept.
    one.put([("RPUSH", key, 2)], None, replies.append)
    one.insist(600)
    assert replies == [1, 1, 2]
    assert one.link is link
    one.insist(600)


def test_who_insists_is_told_where_nothing_is_sent_twice(session: OwnedSession) -> None:
    one = Line(lambda line: setattr(line, "link", connect(session.worker_url)))
    one.renew()
    assert one.link is not None
    one.link = Silent(one.link)
    one.put([("PING",)], None, None)
    with pytest.raises(StoreAwayError, match=r"has not answered within 0\.01 s"):
        one.insist(0.01)
    assert one.link is None


def test_a_buffer_is_the_callers_again_when_put_returns(session: OwnedSession, line: Make, key: str) -> None:
    one, small, large = line(), bytearray(b"s" * 1000), bytearray(b"l" * (COPIED + 1))
    one.put([("RPUSH", key, memoryview(small))], None, None)
    small[:] = b"x" * 1000
    assert one.kept
    one.put([("HSET", key + "h", 0, memoryview(large))], None, None)
    # It was not copied, and is in the store.
    assert not one.kept
    large[:] = b"x" * len(large)
    assert session.store.ask("LINDEX", key, 0) == b"s" * 1000
    assert session.store.ask("HGET", key + "h", 0) == b"l" * (COPIED + 1)
    session.store.call(("DEL", key + "h"))


@pytest.mark.parametrize("size", [1000, COPIED + 1])
def test_bytes_are_neither_copied_nor_waited_for(
    size: int, session: OwnedSession, line: Make, key: str
) -> None:
    one, content = line(), b"b" * size
    one.put([("HSET", key + "h", 0, memoryview(content))], None, None)
    ((command, *_),) = one.kept
    assert command[-1].obj is content
    one.take(1)
    assert session.store.ask("HGET", key + "h", 0) == content
    session.store.call(("DEL", key + "h"))


def test_an_error_is_given_to_who_waits_or_kept(line: Make, key: str) -> None:
    one, replies = line(), []
    one.put([("RPUSH", key, 1)], None, None)
    one.put([("INCR", key)], None, None)
    one.put([("INCR", key)], None, replies.append)
    one.take(3)
    assert "WRONGTYPE" in str(one.failed.popleft())
    assert isinstance(replies[0], StoreReplyError)
    assert not one.failed


def test_scripts_that_the_server_has_lost_are_loaded_again(
    session: OwnedSession, line: Make, key: str
) -> None:
    one, replies = line(), []
    session.store.ask("SCRIPT", "FLUSH")
    for number in range(3):
        one.put([("RPUSH", key, number)], None, replies.append)
    one.take(3)
    assert replies == [1, 2, 3]
    assert session.store.ask("LRANGE", key, 0, -1) == [b"0", b"1", b"2"]


def test_a_store_that_does_not_know_the_line_has_lost_its_keys(
    session: OwnedSession, line: Make, lose: Callable[[Line], None], key: str
) -> None:
    one = line()
    one.put([("RPUSH", key, 1)], None, None)
    one.take(1)
    session.store.call(("DEL", one.key))
    lose(one)
    with pytest.raises(SessionLostError, match="the store has lost its keys"):
        one.put([("RPUSH", key, 2)], None, None)
    assert session.store.ask("LLEN", key) == 1


def test_without_a_session_nothing_is_sent_twice(
    session: OwnedSession, lose: Callable[[Line], None], key: str
) -> None:
    def dial(one: Line) -> None:
        one.link = connect(session.worker_url)

    one = Line(dial)
    # What is not answered by then.
    one.put([("BLPOP", key, 0)], None, None)
    lose(one)
    with pytest.raises(StoreAwayError, match="lost the connection"):
        one.take(1)
    assert not one.kept
    one.put([("LLEN", key)], None, None)
    one.take(1)
    one.close()


def test_a_closed_line_has_no_descriptor(line: Make) -> None:
    one = line()
    assert one.fileno() >= 0
    one.close()
    assert not one.usable
    assert one.lost()
    with pytest.raises(OSError, match="Bad file descriptor"):
        one.fileno()
