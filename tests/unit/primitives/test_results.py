from __future__ import annotations

import threading
from multiprocessing import reduction

import pytest

from transparent_mp.errors import StoreError

LONG = 60

pytestmark = pytest.mark.usefixtures("ours")


@pytest.fixture
def trips(own_session):
    """How many round trips were waited for since it was asked last."""
    store = own_session.store
    last = [store.waits]

    def trips():
        since, last[0] = store.waits - last[0], store.waits
        return since

    return trips


def answered(pool, *names):
    pool.put(*names)
    for name in names:
        pool.tasks.answer(name)


def test_what_has_come_together_is_fetched_together(pool, trips):
    answered(pool, *range(20))
    trips()
    assert [pool.results.get() for _ in range(20)] == list(range(20))
    assert trips() == 1


def test_a_single_one_is_waited_for_once(pool, trips):
    answered(pool, *range(20))
    for _ in range(20):
        pool.results.get()
    for _ in range(2):
        answered(pool, "a")
        trips()
        assert pool.results.get() == "a"
    assert trips() == 1


def test_whether_one_is_at_hand(pool):
    answered(pool, "a", "b", "c")
    found = []
    for name in "abc":
        found.append(pool.results.at_hand)
        assert pool.results.get() == name
    # The first is waited for, the others come with it.
    assert [*found, pool.results.at_hand] == [False, True, True, False]


def test_the_end_is_no_tasks_result(pool):
    answered(pool, "a")
    pool.results.put(None)
    assert [pool.results.get(), pool.results.get()] == ["a", None]


def test_a_large_result(pool):
    large = "x" * 1_000_000
    answered(pool, large)
    assert pool.results.get() == large


@pytest.fixture
def reader(pool, monkeypatch):
    """A thread that gets the next result; `waits`: until it waits for somebody to call it."""
    called = pool.tasks._called
    waiting = threading.Event()

    class Called:
        put = called.put

        def get(self):
            waiting.set()
            return called.get()

    pool.tasks._called = Called()
    return Reader(pool.results, waiting)


class Reader:
    def __init__(self, results, waiting):
        self.found = []
        self._results, self._waiting = results, waiting

    def start(self):
        self._thread = threading.Thread(
            target=lambda: self.found.append(self._results.get_next()), daemon=True
        )
        self._thread.start()

    def waits(self):
        assert self._waiting.wait(LONG)

    def result(self):
        self._thread.join(LONG)
        (found,) = self.found
        self.found.clear()
        return found


def test_while_no_task_is_without_a_result_the_store_is_not_asked(pool, reader, trips):
    for name in "ab":
        trips()
        reader.start()
        reader.waits()
        assert trips() == 0
        answered(pool, name)
        assert reader.result() == name


def test_a_task_that_was_put_before_is_not_waited_for(pool, reader):
    pool.put("a", "b")
    pool.tasks.answer("a")
    reader.start()
    assert reader.result() == "a"
    reader.start()
    pool.tasks.answer("b")
    assert reader.result() == "b"


def test_who_waits_is_told_of_the_end_and_waits_for_nobody_after_it(pool, reader):
    reader.start()
    reader.waits()
    pool.results.put(None)
    assert reader.result() is None
    pool.results.put(None)
    reader.start()
    assert reader.result() is None


def test_the_end_is_heard_though_the_store_does_not_take_it(pool, reader, monkeypatch):
    def refused(_content):
        raise StoreError("the store is away")

    reader.start()
    reader.waits()
    monkeypatch.setattr(pool.tasks.theirs, "post", refused)
    with pytest.raises(StoreError):
        pool.results.put(None)
    monkeypatch.undo()
    # It asks the store, and finds out by itself what is the matter.
    pool.tasks.answer("a")
    pool.tasks.theirs.post(reduction.ForkingPickler.dumps(None))
    assert reader.result() is None
