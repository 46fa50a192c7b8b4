from __future__ import annotations

import pickle
import queue
import time

import pytest

from tests.unit.primitives.test_tasks import LONG, SHORT, Process
from transparent_mp.primitives import taking, untold
from transparent_mp.primitives.untold import Untold

pytestmark = pytest.mark.usefixtures("ours")


def test_nothing_comes_in_time(pool):
    with pytest.raises(queue.Empty):
        pool.first.get(SHORT)
    pool.put("a")
    assert pool.first.get() == "a"


def test_a_process_that_waits_gets_what_is_put_later(pool):
    found = pool.first.player.begin(pool.first.taker.get)
    pool.put("a")
    assert found.result(LONG) == "a"


def test_the_pool_is_gone(pool):
    theirs = pool.tasks.ours, pool.tasks.theirs
    pool.tasks = pool.results = None
    for end in theirs:
        end.close()
    for _ in range(2):
        with pytest.raises(EOFError):
            pool.first.get()


def test_no_process_takes_more_than_its_share(pool, patient):
    second = pool.process()
    pool.first.many(100)
    pool.put(*range(10))
    pool.first.get()
    assert len(pool.first.taker._ahead) == 4
    assert second.get() == 5


def test_what_was_taken_behind_a_long_task_is_given_back(pool):
    second = pool.process()
    pool.first.many(100)
    pool.put(*range(6))
    assert pool.first.get() == 0
    # The first goes on with its task; what it had taken behind it comes back.
    got = []
    for _ in range(5):
        got.append(second.get())
        second.done(got[-1])
    assert sorted(got) == [1, 2, 3, 4, 5]
    pool.first.done(0)
    with pytest.raises(queue.Empty):
        pool.first.get(SHORT)


def test_who_leaves_gives_back_what_it_has_not_begun(pool):
    pool.first.many(100)
    pool.put("a", "b", "c")
    assert pool.first.get() == "a"
    pool.first.done("a")
    assert pool.first.get() == "b"
    pool.first.player(pool.first.taker.leave)
    assert pool.ended(pool.first) == ["b"]
    assert pool.process().get() == "c"
    assert pool.results.get() == "a"


def test_a_result_is_not_held_back_while_the_next_task_runs(pool):
    pool.first.many(100)
    pool.put("a", "b")
    pool.first.get()
    pool.first.done("a")
    assert pool.first.get() == "b"
    assert pool.results.get() == "a"


@pytest.mark.parametrize(
    ("seconds", "trip", "many"),
    [
        (0.0, 0.0001, 1),
        (0.0001, 0.0001, 20),
        (0.000001, 0.0001, taking.MOST),
        (0.004, 0.0001, 1),
        (0.004, 0.01, 5),
    ],
    ids=["not known", "short", "very short", "long", "long, and the store is far"],
)
def test_how_many_are_taken_at_once(seconds, trip, many):
    taker = taking.Taker.__new__(taking.Taker)
    taker._typical, taker._trip = seconds, trip
    assert taker._several() == many


def typical_after(pool, seconds):
    """What a process takes for typical when a task has lasted so long, where others had been short."""
    taker = pool.first.taker
    taker._typical = 0.0001
    pool.put("a", "b")
    pool.first.get()
    # It began a while ago.
    taker._since = time.monotonic() - seconds
    pool.first.done("a")
    pool.first.get()
    return taker._typical


def test_how_long_tasks_last_is_learned_at_once_when_one_is_long(pool):
    assert 1 <= typical_after(pool, 1) < 10


def test_a_short_interruption_of_a_task_counts_by_and_by(pool, monkeypatch):
    monkeypatch.setattr(taking, "LONG", 1000.0)
    assert 50 <= typical_after(pool, 100) < 100


def test_an_unpickled_task_is_a_begun_one(pool):
    pool.put(Unwanted())
    with pytest.raises(ZeroDivisionError):
        pool.first.get()
    assert pool.ended(pool.first)


class Unwanted:
    def __reduce__(self):
        return divmod, (1, 0)

    def __hash__(self):
        return 1


def test_a_process_begun_again_takes_under_the_same_name(pool, pickled):
    # As one that passes on: from the same pickle, elsewhere.
    content = pickled(pool.tasks, pool.first.uid)
    pool.put("a", "b")
    assert pool.first.get() == "a"
    pool.first.done("a")
    pool.first.player(pool.first.taker.leave)
    again = pool.first.player(pickle.loads, content)
    assert pool.first.player(again.get) == "b"
    assert pool.ended(pool.first) == ["b"]


@pytest.fixture
def holding(pool, monkeypatch):
    """A process whose untold somebody reads: it holds back what has a result."""
    left = Untold()
    monkeypatch.setattr(untold._Own, "untold", left)
    process = Process(pool._player(), pool.tasks, pool.results, pool._pickled)
    monkeypatch.setattr(untold._Own, "untold", None)
    process.many(100)
    return process


def run(process, *names):
    for name in names:
        assert process.get() == name
        process.done(name)


def tell_for(pool, process):
    """What its supervisor does."""
    session = process.player.session
    session.store.cast(*taking.last_words(session, process.taker._untold))
    session.store.settle()


def test_results_of_what_was_taken_together_go_together(pool, holding, patient):
    pool.put(*range(8))
    run(holding, 0, 1, 2)
    assert pool.tasks.ours.length() == 0
    run(holding, 3)
    holding.settle()
    # One message.
    assert pool.tasks.ours.length() == 1
    assert [pool.results.get() for _ in range(4)] == [0, 1, 2, 3]


def test_what_is_held_back_behind_a_long_task_is_sent(pool, holding):
    pool.put(*range(8))
    run(holding, 0, 1)
    assert holding.get() == 2
    # It goes on; what it had taken behind it comes back as well.
    assert [pool.results.get(), pool.results.get()] == [0, 1]
    assert pool.process().get() == 3
    holding.done(2)
    holding.settle()
    assert pool.results.get() == 2


def test_a_large_result_takes_those_before_it_along(pool, holding, monkeypatch, patient):
    monkeypatch.setattr(taking, "SMALL", 200)
    names = ["a", "b" * 300, "c"]
    pool.put(*names, "d", "e", "f")
    run(holding, *names[:2])
    assert [pool.results.get(), pool.results.get()] == names[:2]


def is_told_for(pool, holding):
    """Its first two of eight tasks had results when it died in the third."""
    run(holding, 0, 1)
    assert holding.get() == 2
    tell_for(pool, holding)
    assert pool.tasks.ended(holding.uid, vanished=False) == [2]
    assert [pool.results.get(), pool.results.get()] == [0, 1]
    assert pool.process().get() == 3


def is_told_once(pool, holding, monkeypatch):
    run(holding, 0, 1)
    # Sent, and the process dies before it knows that it has arrived.
    monkeypatch.setattr(holding.taker, "_told", lambda _noted: None)
    holding.player(holding.taker._send_held)
    holding.player(holding.player.session.store.settle)
    assert holding.get() == 2
    tell_for(pool, holding)
    assert pool.tasks.ended(holding.uid, vanished=False) == [2]
    assert pool.tasks.ours.length() == 1


def test_what_a_dead_process_had_not_told_is_told_for_it(pool, holding, patient):
    pool.put(*range(8))
    is_told_for(pool, holding)


def test_what_was_told_twice_counts_once(pool, holding, monkeypatch, patient):
    pool.put(*range(8))
    is_told_once(pool, holding, monkeypatch)


def test_what_has_arrived_is_not_told_again(pool, holding, patient):
    pool.put(*range(8))
    run(holding, 0, 1, 2, 3)
    assert not holding.taker._untold.empty
    assert holding.get() == 4
    assert holding.taker._untold.empty


def test_all_that_it_had_taken_may_have_been_begun_where_nobody_can_tell(pool, holding, patient):
    pool.put(*range(8))
    run(holding, 0, 1)
    assert pool.ended(holding, vanished=True) == [0, 1, 2, 3]
    assert pool.process().get() == 4


def test_who_leaves_tells_everything(pool, holding, patient):
    pool.put(*range(8))
    run(holding, 0, 1)
    holding.player(holding.taker.leave)
    assert [pool.results.get(), pool.results.get()] == [0, 1]
    assert pool.process().get() == 2
