from __future__ import annotations

import multiprocessing as mp
import pickle
import threading
import time

import pytest

from transparent_mp.store.scripts import script
from transparent_mp.store.session import new_id

SHORT, LONG = 0.05, 20

pytestmark = pytest.mark.usefixtures("ours")


@pytest.fixture(params=["local", "shared", "rebuilt"])
def condition(request, pickled):
    condition = mp.Condition()
    if request.param == "local":
        return condition
    again = pickle.loads(pickled(condition, new_id()))
    return condition if request.param == "shared" else again


def wait(condition, *timeout):
    with condition:
        return condition.wait(*timeout)


@pytest.fixture
def sleepers(condition, waiting, until):
    """Threads that wait at the condition, in the order in which they came."""

    def make(count):
        found = []
        for at in range(count):
            found.append(waiting(wait, condition, LONG))
            until(lambda at=at: condition._sleeping_count.get_value() == at + 1)
        return found

    return make


def test_wakes_those_who_came_first(condition, sleepers, until):
    found = sleepers(4)
    with condition:
        condition.notify()
        condition.notify(2)
    assert [one.result(LONG) for one in found[:3]] == [True] * 3
    assert not found[3].done()
    with condition:
        condition.notify_all()
    assert found[3].result(LONG) is True
    counts = condition._sleeping_count, condition._woken_count, condition._wait_semaphore
    assert [count.get_value() for count in counts] == [0, 0, 0]


def test_a_notify_that_nobody_waits_for_is_forgotten(condition):
    with condition:
        condition.notify(5)
        assert condition.wait(SHORT) is False


def test_the_lock_is_held_again_as_often_as_before(condition, waiting):
    def deep():
        with condition, condition:
            found = condition.wait(LONG)
            return found, condition._lock._semlock._count()

    found = waiting(deep)
    with condition:
        condition.notify()
        assert not found.done()
    assert found.result(LONG) == (True, 2)
    assert condition.acquire(False)
    condition.release()


def test_wants_its_lock(condition):
    with pytest.raises(AssertionError, match="must acquire"):
        condition.wait()
    with pytest.raises(AssertionError, match="lock is not owned"):
        condition.notify()


def test_waits_for_a_predicate(condition, waiting):
    state = []

    def until_two():
        with condition:
            return condition.wait_for(lambda: len(state) == 2 and "two", LONG)

    found = waiting(until_two)
    for at in range(2):
        with condition:
            state.append(at)
            condition.notify()
    assert found.result(LONG) == "two"
    with condition:
        begun = time.monotonic()
        assert condition.wait_for(list, SHORT) == []
        assert SHORT <= time.monotonic() - begun < LONG


def test_shows_its_lock_and_how_many_wait(condition, sleepers):
    assert repr(condition) == "<Condition(<RLock(None, 0)>, 0)>"
    (found,) = sleepers(1)
    assert repr(condition) == "<Condition(<RLock(None, 0)>, 1)>"
    with condition:
        condition.notify()
    found.result(LONG)


def test_who_waits_locally_goes_on_in_the_store(pickled, waiting, until, blocked):
    condition = mp.Condition()
    found = [waiting(wait, condition), waiting(wait, condition, LONG)]
    short = waiting(wait, condition, 10 * SHORT)
    until(lambda: condition._sleeping_count.get_value() == 3)
    idle = blocked.count()
    other = pickle.loads(pickled(condition, new_id()))
    until(lambda: blocked.count() >= idle + 2)
    assert short.result(LONG) is False
    for _ in found:
        with other:
            other.notify()
    assert [one.result(LONG) for one in found] == [True, True]


def test_two_processes_pass_a_turn(pickled, player):
    condition, turn, other = mp.Condition(), mp.Value("i", 0), player()
    theirs = other(pickle.loads, pickled(condition, other.uid))

    def play(condition, mine, rounds):
        for _ in range(rounds):
            with condition:
                assert condition.wait_for(lambda: turn.value == mine, LONG)
                turn.value = 1 - mine
                condition.notify()

    found = other.begin(play, theirs, 1, 50)
    play(condition, 0, 50)
    found.result(LONG)


def test_a_process_that_was_killed_while_it_waited_is_not_woken_in_anothers_place(
    pickled, interpreter, waiting, until, own_session
):
    condition, uid = mp.Condition(), new_id()
    process = interpreter("with given: given.wait()", pickled(condition, uid), uid)
    until(lambda: condition._sleeping_count.get_value() == 1)
    found = waiting(wait, condition, LONG)
    until(lambda: condition._sleeping_count.get_value() == 2)
    process.kill()
    process.wait()
    # As `exited` does for a process that has ended.
    own_session.store.ask("SREM", own_session.keys.object(condition._hold.oid, "h0"), uid)
    with condition:
        condition.notify()
    assert found.result(LONG) is True


def test_a_notify_and_a_time_that_is_over_at_once_never_lose_each_other(pickled, own_session):
    condition = mp.Condition()
    pickled(condition, new_id())
    told, woken = [], []

    def sleeper():
        for _ in range(150):
            woken.append(wait(condition, 0.001))

    def notifier():
        # As notify(), which does not wait for the answer.
        keys = condition._waiting_key, own_session.keys.object(condition._hold.oid, "h0")
        while any(thread.is_alive() for thread in sleepers):
            with condition:
                told.append(
                    own_session.store.ask(*script("wake", keys, (1, condition._words, own_session.ttl)))
                )

    sleepers = [threading.Thread(target=sleeper) for _ in range(2)]
    last = threading.Thread(target=notifier)
    for thread in (*sleepers, last):
        thread.start()
    for thread in (*sleepers, last):
        thread.join()
    assert len(woken) == 300
    assert sum(woken) == sum(told) > 0


def test_of_a_fork_context_is_not_for_spawned_processes(pickled):
    condition = mp.get_context("fork").Condition()
    if not hasattr(condition._lock, "_is_fork_ctx"):
        pytest.skip("this version does not mind")
    with pytest.raises(RuntimeError, match="fork context"):
        pickled(condition, new_id(), "spawn")
    assert condition._hold is None
