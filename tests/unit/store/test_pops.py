from __future__ import annotations

from typing import Any, Callable

import pytest

from transparent_mp.errors import StoreError
from transparent_mp.store.connect import connect
from transparent_mp.store.line import Line
from transparent_mp.store.pops import TAKEN, TAKEN_BYTES, PopLine
from transparent_mp.store.session import OwnedSession

Make = Callable[..., Any]
Lose = Callable[[Line], None]


@pytest.fixture
def key(session: OwnedSession) -> str:
    return session.keys.object("o", "q0")


@pytest.fixture
def one(line: Make) -> PopLine:
    made: PopLine = line(PopLine)
    return made


def answers(one: PopLine) -> list[Any]:
    while not one.collect():
        continue
    return one.answers()


def test_elements_come_in_order_with_what_runs_behind(session: OwnedSession, one: PopLine, key: str) -> None:
    session.store.call(("RPUSH", key, "a", "b"))
    one.pop(key, [("LLEN", key)])
    assert answers(one) == [b"a", 1]
    one.pop(key, blocking=False)
    assert answers(one) == [b"b"]
    one.pop(key, blocking=False)
    assert answers(one) == [None]


@pytest.mark.parametrize("size", [1, TAKEN_BYTES])
def test_what_was_taken_is_let_go_of(session: OwnedSession, one: PopLine, key: str, size: int) -> None:
    lengths = []
    for number in range(2 * TAKEN + 4):
        session.store.call(("RPUSH", key, b"%d" % (number % 10) * size))
        one.pop(key)
        assert answers(one) == [b"%d" % (number % 10) * size]
        lengths.append(session.store.ask("LLEN", one.taken))
    assert max(lengths) <= (TAKEN + 1 if size == 1 else 3)
    assert lengths[-1] < TAKEN


def test_an_element_whose_answer_is_lost_is_found_again(
    session: OwnedSession, one: PopLine, lose: Lose, key: str
) -> None:
    for number in range(TAKEN + 3):
        session.store.call(("RPUSH", key, b"%d" % number, "next"))
        one.pop(key, [("LLEN", key)])
        # It was served before the loss, once even with the list of what was taken cut short behind it.
        while session.store.ask("LLEN", key) > 1:
            continue
        lose(one)
        assert one.collect()
        assert one.complete()
        assert one.answers() == [b"%d" % number, 1]
        assert session.store.ask("LPOP", key) == b"next"


@pytest.mark.parametrize("lost", [False, True], ids=["", "lost"])
def test_what_was_let_go_of_behind_a_pop_in_vain_is_taken_by_none(
    session: OwnedSession, one: PopLine, lose: Lose, key: str, lost: bool
) -> None:
    session.store.call(("RPUSH", key, *range(TAKEN)))
    for number in range(TAKEN):
        one.pop(key)
        assert answers(one) == [b"%d" % number]
    # Longer by now than it may be: the next pop, in vain, cuts it short all the same.
    one.pop(key, blocking=False)
    if lost:
        one.give_up()
        lose(one)
    assert answers(one) == [None]
    one.pop(key, blocking=False)
    one.give_up()
    lose(one)
    assert answers(one) == [None]


def test_a_pop_that_was_not_served_is_begun_anew(
    session: OwnedSession, one: PopLine, lose: Lose, key: str
) -> None:
    counter = session.keys.object("o", "g")
    one.pop(key, [("INCR", counter)])
    # What stands behind a pop that waits is no step that was applied.
    assert one.answered() == one.number - 1
    lose(one)
    assert not one.collect()
    session.store.call(("RPUSH", key, "late"))
    assert answers(one) == [b"late", 1]
    assert one.answered() == one.number
    assert session.store.ask("GET", counter) == b"1"


def test_it_is_known_without_waiting_whether_there_are_answers(
    session: OwnedSession, one: PopLine, lose: Lose, key: str
) -> None:
    one.pop(key, [("LLEN", key)])
    assert not one.ready()
    # A part of them, and all.
    one.link._feed(b"$4\r\nwo")
    assert not one.ready()
    one.link._feed(b"rd\r\n:0\r\n")
    assert one.ready()
    assert one.answers() == [b"word", 0]
    # And whether collect() finds the end of the connection.
    lose(one)
    assert one.ready()


def test_scripts_that_the_server_has_lost_do_not_lose_the_element(
    session: OwnedSession, one: PopLine, key: str
) -> None:
    counter, fetch = session.keys.object("o", "g"), session.script("fetch", ())
    one.pop(key, [("INCR", counter), fetch])
    session.store.ask("SCRIPT", "FLUSH")
    session.store.call(("RPUSH", key, "late", "more"))
    # It may have come, and what stands behind it is done once.
    assert answers(one)[:2] == [b"late", 1]
    one.pop(key, [fetch])
    assert not isinstance(answers(one)[1], Exception)
    assert session.store.ask("GET", counter) == b"1"
    assert session.store.ask("LLEN", key) == 0


def test_a_pop_that_was_given_up_takes_nothing_after_a_loss(
    session: OwnedSession, one: PopLine, lose: Lose, key: str
) -> None:
    one.pop(key)
    one.give_up()
    lose(one)
    assert one.collect()
    assert one.answers() == [None]
    session.store.call(("RPUSH", key, "stays"))
    assert session.store.ask("LLEN", key) == 1


def test_without_a_session_a_lost_pop_is_an_error(session: OwnedSession, lose: Lose, key: str) -> None:
    def dial(line: Line) -> None:
        line.link = connect(session.worker_url)

    one = PopLine(dial)
    one.pop(key)
    lose(one)
    with pytest.raises(StoreError, match="while something was taken from it"):
        one.collect()
    one.close()


def test_an_error_says_what_to_do(session: OwnedSession, one: PopLine, key: str) -> None:
    session.store.call(("SET", key, 1))
    one.pop(key)
    assert "WRONGTYPE" in str(answers(one)[0])
    session.store.call(("DEL", key))


def test_what_waits_is_kept_for_one_thread_while_the_links_are_the_same(
    session: OwnedSession, one: PopLine, lose: Lose, key: str
) -> None:
    other = connect(session.worker_url)
    first = one.poll(other, alone=True)
    assert one.poll(other, alone=True) is first
    assert one.poll(other, alone=False) is not first
    assert one.poll(None, alone=True) is not first
    kept = one.poll(None, alone=True)
    one.pop(key)
    lose(one)
    session.store.call(("RPUSH", key, "a"))
    assert answers(one) == [b"a"]
    anew = one.poll(None, alone=True)
    assert anew is not kept
    # It is of the new link: nothing is there to be read.
    assert anew.poll(0) == []
    other.close()
