from __future__ import annotations

import select
import time

import pytest

from transparent_mp.errors import StoreReplyError
from transparent_mp.primitives.watching import State, Watch

SHORT = 0.05
LONG = 20


@pytest.fixture
def watch(own_session, key):
    watch = Watch(own_session.store, key)
    yield watch
    watch.close()


@pytest.fixture
def pop(own_session, key):
    return lambda: own_session.store.ask("LPOP", key)


def readable(watch, timeout=0.0):
    return bool(select.select([watch.line], [], [], timeout)[0])


def test_once_armed_the_fd_tells_of_what_is_there(watch, push):
    push("a")
    watch.arm()
    assert readable(watch)
    watch.arm()
    assert readable(watch)


def test_once_armed_the_fd_tells_of_nothing_else(watch, push):
    watch.arm()
    assert watch._state is State.ARMED
    assert not readable(watch)
    push("a")
    assert readable(watch, LONG)


def test_looking_takes_nothing(watch, push, own_session, key):
    push("a", "b")
    watch.arm()
    assert watch.wait(0)
    assert own_session.store.ask("LRANGE", key, 0, -1) == [b"a", b"b"]


def test_arming_costs_nothing_while_it_is_armed(watch, own_session):
    watch.arm()
    before = own_session.store.waits
    watch.arm()
    assert own_session.store.waits == before


def test_taking_answers_the_element_and_what_was_asked_behind_it(watch, push):
    push("a", "b")
    assert watch.take(None, [("ECHO", "x"), ("ECHO", "y")]) == [b"a", b"x", b"y"]
    assert watch.take(LONG, []) == [b"b"]
    assert watch.take(0, []) is None
    assert watch.take(-1, []) is None


def test_taking_costs_one_round_trip(watch, push, own_session):
    push("a", "b")
    watch.arm()
    before = own_session.store.waits
    watch.take(None, [("ECHO", "x")])
    assert own_session.store.waits == before + 1


def test_what_was_registered_once_tells_of_later_elements(watch, push):
    watch.arm()
    poll = select.poll()
    poll.register(watch.line.fileno(), select.POLLIN)
    for number in range(3):
        assert poll.poll(0) == []
        push(f"{number}")
        assert poll.poll(LONG * 1000)
        assert watch.take(0, []) == [b"%d" % number]


def test_waiting_and_taking_end_in_time(watch):
    for wait in (watch.wait, lambda timeout: watch.take(timeout, [])):
        begun = time.monotonic()
        assert not wait(SHORT)
        assert SHORT <= time.monotonic() - begun < LONG


def test_an_element_wakes_who_waits_and_who_takes(watch, push, waiting):
    found = waiting(watch.wait, None), waiting(watch.take, None, [])
    push("a")
    assert found[1].result(LONG) == [b"a"]
    # The first may have been too late for that one.
    push("b")
    assert found[0].result(LONG) is True


def test_several_take_at_once(watch, push, waiting):
    found = [waiting(watch.take, None, []) for _ in range(4)]
    push("a", "b", "c", "d")
    assert sorted(each.result(LONG)[0] for each in found) == [b"a", b"b", b"c", b"d"]


def test_what_another_holder_took_is_not_there(watch, push, pop):
    watch.arm()
    push("a")
    assert readable(watch, LONG)
    pop()
    assert watch.take(0, []) is None
    push("b")
    assert readable(watch, LONG)
    pop()
    assert watch.wait(SHORT) is False
    push("c")
    assert readable(watch, LONG)
    pop()
    begun = time.monotonic()
    assert watch.take(SHORT, []) is None
    assert time.monotonic() - begun >= SHORT
    push("d")
    assert watch.wait(LONG)
    assert watch.take(None, []) == [b"d"]


def test_a_look_that_was_sent_a_moment_ago_is_made_sure_of(watch, push):
    push("a", "b")
    watch.take(0, [])
    assert watch._state is State.LOOKING
    watch.arm()
    assert readable(watch)


def test_an_error_is_raised(watch, own_session, key, push):
    push("a")
    with pytest.raises(StoreReplyError):
        watch.take(None, [("NO-SUCH-COMMAND",)])
    own_session.store.call(("SET", key, "not a list"))
    other = Watch(own_session.store, key)
    with pytest.raises(StoreReplyError, match="WRONGTYPE"):
        other.wait(LONG)
    other.close()


def test_what_was_taken_by_other_means_is_told_of_no_more(watch, push, pop):
    watch.taken()
    push("a", "b")
    watch.arm()
    for left in (True, False):
        pop()
        watch.taken()
        watch.arm()
        assert readable(watch) is left
    push("c")
    assert readable(watch, LONG)


def test_closing_leaves_what_is_there(watch, push, own_session, key):
    watch.arm()
    watch.close()
    push("a")
    assert own_session.store.ask("LLEN", key) == 1
