from __future__ import annotations

import contextlib
import threading
from multiprocessing import reduction

import pytest
from injecting import Interrupted, each_point

from transparent_mp.errors import StoreError
from transparent_mp.primitives.tasks import Reader as Reads

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


@pytest.fixture
def own(pool, reader):
    """Put a task whose result the caller reads; `read` does, and answers what it was given."""

    def put(name):
        if pool.tasks._reader is not Reads.WAITS:
            reader.start()
            reader.waits()
        pool.tasks.put_own(pool.tasks.prepared(name))

    def read(name):
        found = pool.results.read_own(name)
        pool.tasks.hand_over(name)
        return found

    put.read = read
    yield put
    pool.results.put(None)
    while reader.result() is not None:
        reader.start()


def test_who_waits_for_its_own_result_reads_it_in_one_trip(pool, own, trips):
    for name in "ab":
        own(name)
        pool.tasks.answer(name)
        trips()
        assert own.read(name) == name
        assert trips() == 1
        assert not pool.tasks.lacks(name)


@pytest.mark.parametrize("result", ["x" * 1_000_000, None], ids=["large", "the end"])
def test_what_is_not_its_own_is_left_to_the_thread(pool, own, reader, result):
    own("a")
    if result is not None:
        pool.tasks.add(result)
        pool.tasks.flush()
    pool.tasks.answer(result)
    pool.tasks.answer("a")
    assert own.read("a") is None
    assert reader.result() == result
    reader.start()
    assert reader.result() == "a"
    reader.start()


def test_when_others_wait_for_results_too_the_thread_reads(pool, own, reader):
    own("a")
    pool.put("b")
    pool.tasks.answer("b")
    pool.tasks.answer("a")
    assert own.read("a") is None
    assert reader.result() == "b"
    reader.start()
    assert reader.result() == "a"
    reader.start()


def test_what_others_put_while_it_reads_is_left_to_the_thread(pool, own, reader):
    own("a")
    reading = threading.Thread(target=lambda: found.append(own.read("a")), daemon=True)
    found = []
    reading.start()
    pool.put("b")
    pool.tasks.answer("b")
    reading.join(LONG)
    assert found == [None]
    pool.tasks.answer("a")
    assert reader.result() == "b"
    reader.start()
    assert reader.result() == "a"
    reader.start()


def test_who_calls_while_another_reads_lets_it_read(pool, own, reader):
    own("a")
    reading = threading.Thread(target=lambda: found.append(own.read("a")), daemon=True)
    found = []
    reading.start()
    pool.tasks.put_own(pool.tasks.prepared("b"))
    assert own.read("b") is None
    assert pool.tasks._reader is Reads.STANDS_BACK
    # The thread, were it called, would wait beside it for what it has got.
    pool.tasks.answer("a")
    reading.join(LONG)
    assert found == [None]
    assert reader.result() == "a"
    reader.start()
    pool.tasks.answer("b")
    assert reader.result() == "b"
    reader.start()


def test_who_calls_before_another_has_handed_over_does_not_read(pool, own, reader):
    own("a")
    pool.tasks.answer("a")
    assert pool.results.read_own("a") == "a"
    pool.tasks.put_own(pool.tasks.prepared("b"))
    assert pool.results.read_own("b") is None
    pool.tasks.hand_over("b")
    pool.tasks.hand_over("a")
    pool.tasks.answer("b")
    assert reader.result() == "b"
    reader.start()


def test_the_result_of_a_task_that_had_one_is_not_its_own(pool, own):
    own("a")
    pool.tasks.answer("a")
    pool.tasks.answer("a")
    assert own.read("a") == "a"
    own("b")
    pool.tasks.answer("b")
    assert own.read("b") == "b"


def test_a_result_that_cannot_be_unpickled_is_who_waits_for_its_error(pool, own):
    own("a")
    pool.tasks.theirs.post(b"no pickle")
    with pytest.raises(Exception, match=r"pickle|load key"):
        own.read("a")
    pool.tasks.hand_over("a")
    # It was read.
    assert not pool.tasks.lacks("a")
    own("b")
    pool.tasks.answer("b")
    assert own.read("b") == "b"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_interrupted_one_leaves_its_result_to_the_thread_or_has_it(pool, own, reader, own_session):
    own_session.store.unwatch(own_session.store.watch())
    count = 0
    for injector in each_point():
        name, found = f"{count}", None
        own(name)
        pool.tasks.answer(name)
        with contextlib.suppress(Interrupted), injector:
            found = pool.results.read_own(name)
        pool.tasks.hand_over(name)
        count += 1
        if pool.tasks.lacks(name):
            assert found is None, injector.where
            assert reader.result() == name, injector.where
            reader.start()
            reader.waits()
        # Else it was read, and may be lost with what raised.
    assert count > 10
    own("last")
    pool.tasks.answer("last")
    assert own.read("last") == "last"
