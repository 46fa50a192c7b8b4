from __future__ import annotations

import gc
import pickle
import threading

import pytest

from transparent_mp.errors import DepotError, StoreReplyError
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives import tasks as module
from transparent_mp.primitives.results import ResultQueue
from transparent_mp.primitives.tasks import TaskQueue, of_taker
from transparent_mp.store.scripts import script

SHORT, LONG = 0.05, 20

pytestmark = pytest.mark.usefixtures("ours")


def name_of(task):
    return task


class Pool:
    """Tasks, their results, and processes that take them."""

    def __init__(self, player, pickled):
        self.tasks = TaskQueue(name_of)
        self.results = ResultQueue(self.tasks, name_of)
        self._player, self._pickled = player, pickled

    def process(self):
        return Process(self._player(), self.tasks, self.results, self._pickled)

    def put(self, *names):
        for name in names:
            self.tasks.put(name)
        self.tasks.flush()
        # The processes have links of their own, which may be quicker.
        sessions.current().store.settle()

    def ended(self, process, *, vanished=False):
        process.settle()
        return self.tasks.ended(process.uid, vanished)


class Process:
    """One that takes tasks; `many` of them at once."""

    def __init__(self, player, tasks, results, pickled):
        self.player, self.uid = player, player.uid
        self.taker, self.results = player(pickle.loads, pickled((tasks, results), player.uid))
        self.many(1)

    def many(self, count):
        self.taker._several = lambda: count

    def get(self, timeout=LONG):
        return self.player(self.taker.get, True, timeout)

    def done(self, name):
        self.player(self.results.put, name)

    def settle(self):
        self.player(self.taker._send)
        self.player(self.player.session.store.settle)


def test_tasks_are_taken_in_their_order_and_have_their_results(pool):
    pool.put("a", "b")
    for name in "ab":
        assert pool.first.get() == name
        pool.first.done(name)
    pool.first.settle()
    assert [pool.results.get(), pool.results.get()] == ["a", "b"]
    assert pool.tasks.unfinished() == 0


def test_a_burst_goes_together_and_its_first_at_once(pool, monkeypatch):
    monkeypatch.setattr(module, "HELD_MOST", LONG)
    pool.tasks._since, pool.tasks._held = 0.0, LONG
    pushed = []
    empty = len(script("push", ("", ""), (0,)))
    monkeypatch.setattr(
        module.memory, "cast", lambda *commands, **_: pushed.append(len(commands[-1]) - empty)
    )
    for name in range(module.BURST + 1):
        pool.tasks.put(name)
    assert pushed == [1, module.BURST]


def test_what_is_held_back_of_a_burst_grows_with_it(pool, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    sent = []
    monkeypatch.setattr(module.memory, "cast", lambda *commands, **_: sent.append(commands))
    pool.tasks.add("first")
    assert len(sent) == 1
    now += 1.5 * module.HELD
    pool.tasks.add("held, since the one before was sent so shortly ago")
    assert len(sent) == 1
    now += module.HELD
    pool.tasks.add("by now")
    assert len(sent) == 2
    pool.tasks.flush()
    now += 1.5 * module.HELD
    pool.tasks.add("another burst")
    assert len(sent) == 3


def test_what_cannot_be_pickled_is_no_task(pool):
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pool.tasks.put(lambda: None)
    assert pool.tasks.unfinished() == 0


def test_what_cannot_be_packed_is_no_task(pool, monkeypatch):
    def packed(_content):
        raise DepotError("the bucket is away")

    monkeypatch.setattr(pool.tasks.ours, "packed", packed)
    with pytest.raises(DepotError):
        pool.tasks.put("x" * module.SMALL)
    assert pool.tasks.unfinished() == 0


def test_what_a_dead_process_had_not_begun_is_taken_by_the_next_one(pool):
    pool.first.many(3)
    pool.put("a", "b", "c", "d")
    # Two of them share what lies there.
    assert pool.first.get() == "a"
    assert len(pool.first.taker._ahead) == 2
    assert pool.ended(pool.first) == ["a"]
    second = pool.process()
    found = []
    for _ in range(3):
        found.append(second.get())
        second.done(found[-1])
    assert found == ["b", "c", "d"]


def test_the_second_of_what_was_taken_is_the_one_begun_when_the_first_is_done(pool):
    pool.first.many(3)
    pool.put("a", "b", "c")
    pool.first.get()
    pool.first.done("a")
    assert pool.first.get() == "b"
    assert pool.ended(pool.first) == ["b"]
    assert pool.process().get() == "c"


def test_what_was_moved_for_a_process_and_never_seen_was_not_begun(pool):
    taker = pool.first.taker
    pool.put("a")
    # Served in the moment in which it died.
    store = pool.first.player.session.store
    store.call(("DEL", taker._begins), ("LMOVE", taker._list, taker._taken, "LEFT", "RIGHT"))
    assert pool.ended(pool.first) == []
    assert pool.process().get() == "a"


def test_a_process_that_died_idle_had_begun_nothing(pool):
    pool.put("a")
    assert pool.first.get() == "a"
    pool.first.done("a")
    pool.first.settle()
    assert pool.ended(pool.first) == []


def test_the_end_of_a_process_is_seen_to_once(pool):
    pool.put("a")
    pool.first.get()
    assert pool.ended(pool.first) == ["a"]
    assert pool.ended(pool.first) == []


def test_a_process_that_was_given_up_cannot_act_any_more(pool):
    pool.put("a", "b")
    pool.first.get()
    assert pool.ended(pool.first, vanished=True) == ["a"]
    pool.first.done("a")
    with pytest.raises(StoreReplyError, match="WRONGTYPE"):
        pool.first.get()
    assert pool.process().get() == "b"
    assert pool.tasks.unfinished() == 2


def test_a_second_result_is_dropped(pool):
    pool.put("a", "b")
    pool.tasks.answer("a")
    pool.tasks.answer("a")
    pool.tasks.answer("b")
    assert [pool.results.get(), pool.results.get()] == ["a", "b"]


def test_a_put_waits_while_more_lies_there_than_is_worked_on(pool, monkeypatch):
    monkeypatch.setattr(module, "WINDOW", 100)
    putting = threading.Thread(target=pool.put, args=["x" * 60 + str(number) for number in range(4)])
    putting.start()
    putting.join(SHORT)
    assert putting.is_alive()
    assert pool.tasks.unfinished() == 3
    for _ in range(2):
        pool.first.done(pool.first.get())
        pool.first.settle()
        pool.results.get()
    putting.join(LONG)
    assert not putting.is_alive()


def test_a_pool_that_ends_holds_no_put_back(pool, monkeypatch):
    monkeypatch.setattr(module, "MESSAGES", 1)
    putting = threading.Thread(target=pool.put, args=range(10))
    putting.start()
    pool.tasks.let_through()
    putting.join(LONG)
    assert not putting.is_alive()


def test_nothing_is_left_of_a_pool_that_is_gone(pool, own_session):
    keys = pool.first.taker._taken, pool.first.taker._begins
    pool.put("a")
    pool.first.get()
    store, uid = own_session.store, pool.first.uid
    assert of_taker(uid) is pool.tasks
    assert store.ask("EXISTS", *keys) == 2
    pool.tasks = pool.results = None
    gc.collect()
    assert of_taker(uid) is None
    assert store.ask("EXISTS", *keys) == 0
