from __future__ import annotations

import pickle
import signal
import threading
import time

import pytest

from transparent_mp.primitives.event import Event
from transparent_mp.store.session import new_id

SHORT, LONG = 0.05, 20


class Context:
    """Of which an event needs a lock, to know what kind of context it is of."""

    @staticmethod
    def Lock():
        return object()


@pytest.fixture(params=["local", "shared", "rebuilt"])
def event(request, own_session, pickled):
    event = Event(ctx=Context)
    if request.param == "local":
        return event
    again = pickle.loads(pickled(event, new_id()))
    return event if request.param == "shared" else again


def test_is_set_and_cleared(event):
    assert event.is_set() is event.wait(0) is event.wait(-1) is False
    assert repr(event).endswith(" unset>")
    event.set()
    event.set()
    assert event.is_set() is event.wait(0) is event.wait() is event.wait(LONG) is True
    assert repr(event).endswith(" set>")
    event.clear()
    event.clear()
    assert event.is_set() is event.wait(0) is False


def test_a_wait_ends_when_it_is_set(event, waiting):
    found = [waiting(event.wait) for _ in range(2)] + [waiting(event.wait, LONG)]
    event.set()
    assert [one.result(LONG) for one in found] == [True] * 3


def test_a_wait_ends_when_its_time_is_over(event):
    begun = time.monotonic()
    assert event.wait(SHORT) is False
    assert SHORT <= time.monotonic() - begun < LONG
    assert event.is_set() is False


def test_a_wait_that_was_ended_by_set_is_true_although_it_was_cleared(event, waiting):
    found = waiting(event.wait)
    event.set()
    event.clear()
    assert found.result(LONG) is True


def test_an_interrupted_wait_leaves_nothing_behind(event, meanwhile):
    class Interrupted(Exception):
        pass

    def handler(*_):
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        meanwhile(lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1))
        with pytest.raises(Interrupted):
            event.wait(LONG)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not event._waiting
    event.set()
    assert event.wait(LONG) is True


@pytest.mark.parametrize("is_set", [False, True])
def test_moves_to_the_store_as_it_is(own_session, pickled, is_set):
    event = Event(ctx=Context)
    if is_set:
        event.set()
    other = pickle.loads(pickled(event, new_id()))
    assert event.is_set() is other.is_set() is is_set


def test_who_waits_locally_goes_on_in_the_store(own_session, pickled, waiting, blocked, until):
    event = Event(ctx=Context)
    found = [waiting(event.wait), waiting(event.wait, LONG), waiting(event.wait, 10 * SHORT)]
    idle = blocked.count()
    other = pickle.loads(pickled(event, new_id()))
    until(lambda: blocked.count() >= idle + 2)
    assert found[2].result(LONG) is False
    other.set()
    assert found[0].result(LONG) is found[1].result(LONG) is True


def test_two_processes_share_it(own_session, pickled, player, blocked):
    event, other = Event(ctx=Context), player()
    theirs = other(pickle.loads, pickled(event, other.uid))
    found = blocked(theirs.wait, start=other.begin)
    event.set()
    assert found.result(LONG) is True
    other(theirs.clear)
    other(theirs.is_set)
    assert event.is_set() is False


def test_its_keys_expire(own_session, pickled, waiting, until):
    event = Event(ctx=Context)
    pickled(event, new_id())
    ask = own_session.store.ask
    found = waiting(event.wait)
    assert 0 < ask("PTTL", event._waiting_key) <= own_session.ttl
    event.set()
    assert found.result(LONG) is True
    assert 0 < ask("PTTL", event._state_key) <= own_session.ttl
    assert ask("KEYS", event._words.replace("{", "?") + "*") == []


def test_a_set_and_a_wait_at_once_never_miss_each_other(event):
    for _ in range(150):
        event.clear()
        threads = [threading.Thread(target=event.set), threading.Thread(target=event.wait, args=(LONG,))]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - begun < LONG


def test_of_a_fork_context_is_not_for_spawned_processes(own_session, pickled):
    class Lock:
        _is_fork_ctx = True

    class Fork:
        Lock = staticmethod(lambda: Lock)

    event = Event(ctx=Fork)
    with pytest.raises(RuntimeError, match="fork context"):
        pickled(event, new_id(), "spawn")
    pickled(event, new_id(), "fork")
    with pytest.raises(RuntimeError, match="through inheritance"):
        pickled(event)
