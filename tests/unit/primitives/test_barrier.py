from __future__ import annotations

import multiprocessing as mp
import pickle
import random
import signal
import threading
import time
from concurrent import futures
from threading import BrokenBarrierError

import pytest

from transparent_mp.store.session import new_id

SHORT, LONG = 0.05, 20

#: Python 3.9's has none.
HAS_REPR = "__repr__" in vars(threading.Barrier)

pytestmark = pytest.mark.usefixtures("ours")


@pytest.fixture(params=["local", "shared", "rebuilt"])
def make(request, pickled):
    def make(*args):
        barrier = mp.Barrier(*args)
        if request.param == "local":
            return barrier
        again = pickle.loads(pickled(barrier, new_id()))
        return barrier if request.param == "shared" else again

    return make


class Action:
    """What a barrier runs, once a round; picklable."""

    rounds: list[int] = []

    def __call__(self):
        self.rounds.append(1)


class Failing:
    def __call__(self):
        raise RuntimeError("the action failed")


class Slow:
    """An action that lasts until it is told."""

    acting = threading.Semaphore(0)
    end = threading.Semaphore(0)

    def __call__(self):
        self.acting.release()
        self.end.acquire()


@pytest.fixture(autouse=True)
def fresh():
    Action.rounds.clear()


def broken(future):
    with pytest.raises(BrokenBarrierError):
        future.result(LONG)


def arrived(barrier, count, until):
    until(lambda: barrier.n_waiting == count)


def test_all_pass_when_the_last_has_come(make, waiting, until):
    barrier = make(3)
    for _ in range(3):
        found = [waiting(barrier.wait), waiting(barrier.wait, LONG)]
        arrived(barrier, 2, until)
        assert not any(one.done() for one in found)
        assert repr(barrier).endswith("waiters=2/3>") or not HAS_REPR
        assert barrier.wait() == 2
        assert sorted(one.result(LONG) for one in found) == [0, 1]
        assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 0, False)


def test_one_party_waits_for_nobody(make):
    barrier = make(1, Action())
    assert [barrier.wait() for _ in range(3)] == [0, 0, 0]
    assert len(Action.rounds) == 3


def test_the_action_is_run_once_before_anybody_passes(make, waiting, until):
    barrier = make(2, Action())
    for round_ in range(1, 4):
        found = waiting(barrier.wait)
        arrived(barrier, 1, until)
        assert len(Action.rounds) == round_ - 1
        assert barrier.wait() == 1
        assert found.result(LONG) == 0
        assert len(Action.rounds) == round_


def test_an_action_that_fails_breaks_it(make, waiting, until):
    barrier = make(2, Failing())
    found = waiting(barrier.wait)
    arrived(barrier, 1, until)
    with pytest.raises(RuntimeError, match="the action failed"):
        barrier.wait()
    broken(found)
    assert barrier.broken


@pytest.mark.parametrize("end", ["abort", "reset"])
def test_who_waits_gets_an_error(make, waiting, until, end):
    barrier = make(3)
    found = [waiting(barrier.wait), waiting(barrier.wait, LONG)]
    arrived(barrier, 2, until)
    getattr(barrier, end)()
    for one in found:
        broken(one)
    assert barrier.broken is (end == "abort")
    assert barrier.n_waiting == 0
    if end == "abort":
        with pytest.raises(BrokenBarrierError):
            barrier.wait()
        barrier.reset()
    assert barrier.broken is False
    found = [waiting(barrier.wait), waiting(barrier.wait)]
    assert barrier.wait() in (0, 1, 2)
    assert {one.result(LONG) for one in found} < {0, 1, 2}


@pytest.mark.parametrize("default", [False, True])
def test_a_time_that_is_over_breaks_it(make, waiting, until, default):
    barrier = make(3, None, SHORT) if default else make(3)
    other = waiting(barrier.wait, LONG)
    arrived(barrier, 1, until)
    begun = time.monotonic()
    with pytest.raises(BrokenBarrierError):
        barrier.wait(*([] if default else [SHORT]))
    assert SHORT <= time.monotonic() - begun < LONG
    broken(other)
    assert barrier.broken


def test_who_comes_while_one_acts_is_of_the_next_round(make, waiting, until):
    barrier = make(2, Slow())
    first = waiting(barrier.wait), waiting(barrier.wait)
    Slow.acting.acquire()
    second = waiting(barrier.wait), waiting(barrier.wait)
    assert not any(one.done() for one in (*first, *second))
    Slow.end.release()
    assert sorted(one.result(LONG) for one in first) == [0, 1]
    Slow.acting.acquire()
    assert not any(one.done() for one in second)
    Slow.end.release()
    assert sorted(one.result(LONG) for one in second) == [0, 1]


def test_a_time_that_is_over_while_one_acts_breaks_nothing(make, waiting, until):
    barrier = make(2, Slow())
    other = waiting(barrier.wait, 4 * SHORT)
    acting = waiting(barrier.wait)
    Slow.acting.acquire()
    with pytest.raises(futures.TimeoutError):
        # Past its own time.
        other.result(8 * SHORT)
    Slow.end.release()
    assert sorted((other.result(LONG), acting.result(LONG))) == [0, 1]
    assert not barrier.broken


@pytest.mark.parametrize("end", ["abort", "reset"])
def test_an_end_while_one_acts_ends_that_round(make, waiting, until, end):
    barrier = make(2, Slow())
    found = waiting(barrier.wait), waiting(barrier.wait)
    Slow.acting.acquire()
    getattr(barrier, end)()
    Slow.end.release()
    for one in found:
        broken(one)
    assert barrier.broken is (end == "abort")


def test_who_is_interrupted_has_not_come(make, waiting, until, meanwhile):
    class Interrupted(Exception):
        pass

    def handler(*_):
        raise Interrupted

    barrier = make(2)
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        meanwhile(lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1))
        with pytest.raises(Interrupted):
            barrier.wait(LONG)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (barrier.n_waiting, barrier.broken) == (0, False)
    found = waiting(barrier.wait)
    arrived(barrier, 1, until)
    barrier.wait(LONG)
    assert found.result(LONG) == 0


@pytest.mark.parametrize("action", [None, Action()])
def test_who_waits_locally_goes_on_in_the_store(pickled, waiting, until, blocked, action):
    barrier = mp.Barrier(4, action)
    found = [waiting(barrier.wait), waiting(barrier.wait, LONG)]
    arrived(barrier, 2, until)
    idle = blocked.count()
    other = pickle.loads(pickled(barrier, new_id()))
    until(lambda: blocked.count() >= idle + 2)
    assert other.n_waiting == 2
    found.append(waiting(other.wait))
    assert sorted([barrier.wait(), *(one.result(LONG) for one in found)]) == [0, 1, 2, 3]
    assert len(Action.rounds) == (action is not None)


def test_is_shared_while_one_acts(pickled, waiting, until):
    barrier = mp.Barrier(2, Slow())
    found = waiting(barrier.wait), waiting(barrier.wait)
    Slow.acting.acquire()
    other = pickle.loads(pickled(barrier, new_id()))
    Slow.end.release()
    assert sorted(one.result(LONG) for one in found) == [0, 1]
    found = waiting(other.wait), waiting(barrier.wait)
    Slow.acting.acquire()
    Slow.end.release()
    assert sorted(one.result(LONG) for one in found) == [0, 1]


def test_a_broken_one_is_broken_when_it_is_shared(pickled):
    barrier = mp.Barrier(2)
    barrier.abort()
    other = pickle.loads(pickled(barrier, new_id()))
    assert other.broken
    with pytest.raises(BrokenBarrierError):
        other.wait()


def test_refuses_what_the_librarys_refuses():
    try:
        threading.Barrier(0)
    except ValueError as error:
        with pytest.raises(ValueError, match=str(error)):
            mp.Barrier(0)


def test_its_keys_expire(own_session, pickled, waiting, until):
    barrier = mp.Barrier(2)
    pickled(barrier, new_id())
    waiting(barrier.wait)
    arrived(barrier, 1, until)
    ask = own_session.store.ask
    assert 0 < ask("PTTL", barrier._waiting_key) <= own_session.ttl
    barrier.abort()
    assert 0 < ask("PTTL", barrier._state_key) <= own_session.ttl


def test_many_rounds_with_one_that_is_late_or_moves(pickled, own_session):
    """No wake-up is lost, whoever comes when; one of the threads shares the barrier on its way."""
    parties, rounds, chance = 3, 300, random.Random(7)
    barrier = mp.Barrier(parties, Action(), LONG)
    places = [[] for _ in range(rounds)]

    def run(late, moves):
        for round_ in range(rounds):
            if moves and round_ == rounds // 3:
                pickled(barrier, new_id())
            for _ in range(late.randrange(3000) if late.random() < 0.2 else 0):
                pass
            places[round_].append(barrier.wait())

    threads = [
        threading.Thread(target=run, args=(random.Random(chance.random()), at == 0)) for at in range(parties)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(sorted(found) == [0, 1, 2] for found in places)
    assert len(Action.rounds) == rounds
