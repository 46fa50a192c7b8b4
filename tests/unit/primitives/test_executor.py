"""What ours does about CPython's executor; executors at work are in the contract's programs."""

from __future__ import annotations

import gc
import pickle
import select
import weakref
from concurrent.futures.process import _CallItem, _ResultItem
from multiprocessing import connection
from types import SimpleNamespace

import pytest

from transparent_mp.primitives import executor as module
from transparent_mp.primitives.executor import CallQueue, CallResults, init, wait_result
from transparent_mp.primitives.outstanding import Outstanding
from transparent_mp.primitives.queues import SimpleQueue

pytestmark = pytest.mark.usefixtures("ours")


class Executor:
    """Its two queues, one process, and what its stock queue of calls was told."""

    def __init__(self, player, pickled):
        self.failed = failed = []
        instead = SimpleNamespace(_maxsize=2, _on_queue_feeder_error=lambda *what: failed.append(what))
        self.calls = CallQueue(instead)
        self.results = CallResults(self.calls)
        self.process = player()
        content = pickled((self.calls, self.results), self.process.uid)
        self.taken, self.answers = self.process(pickle.loads, content)

    def put(self, *numbers):
        for number in numbers:
            self.calls.put(_CallItem(number, str, (number,), {}), block=True)
        self.calls.tasks.flush()

    def run(self, *numbers):
        for number in numbers:
            assert self.process(self.taken.get).work_id == number
            self.process(self.answers.put, _ResultItem(number, result=str(number)))
        self.process(self.taken._send)
        self.process(self.process.session.store.settle)

    def readable(self, timeout=0):
        return bool(select.select([self.results], [], [], timeout)[0])


@pytest.fixture
def executor(player, pickled):
    return Executor(player, pickled)


def test_it_is_full_when_each_process_has_one_and_the_queue_has_its_bound(executor):
    executor.put(1, 2)
    assert not executor.calls.full()
    executor.put(3)
    assert executor.calls.full()
    executor.run(1)
    assert executor.calls.full()
    assert executor.readable(20)
    assert executor.results.recv().work_id == 1
    assert not executor.calls.full()


def let_out(executor, first):
    """Put calls until it is full; returns the number of the next."""
    while not executor.calls.full():
        executor.put(first)
        first += 1
    return first


def run_all(executor, first, after):
    executor.run(*range(first, after))
    for _ in range(first, after):
        if executor.results.at_hand:
            executor.results.get()
        else:
            assert executor.readable(20)
            assert executor.results.recv() is not None


def test_short_calls_are_let_out_many_at_once(executor, monkeypatch):
    monkeypatch.setattr(module, "LASTS", 1000.0)
    counts, first = [], 0
    for _ in range(4):
        after = let_out(executor, first)
        counts.append(after - first)
        run_all(executor, first, after)
        first = after
    assert counts == [3, 5, 9, 17]
    # Bounded, and the next ones when half of them have come.
    executor.calls._more = module.MOST
    after = let_out(executor, first)
    assert after - first == 3 + module.MOST
    half = first + (after - first) // 2
    run_all(executor, first, half)
    assert executor.calls.full()
    run_all(executor, half, half + 2)
    assert not executor.calls.full()


def test_when_a_long_call_comes_no_more_than_in_plain_python_are_let_out(executor, monkeypatch):
    executor.calls._more = module.MOST
    monkeypatch.setattr(module, "LASTS", -1.0)
    assert let_out(executor, 0) == 3


def test_calls_that_take_longer_halve_what_is_let_out(executor, monkeypatch):
    executor.put(1)
    executor.calls._more = 20
    monkeypatch.setattr(module, "LASTS", -1.0)
    run_all(executor, 1, 2)
    assert executor.calls._more == 10


def test_a_call_that_cannot_be_pickled_is_told_as_by_the_feeder_and_takes_no_place(executor):
    for number in range(5):
        executor.calls.put(_CallItem(number, lambda: None, (), {}))
    assert [item.work_id for _, item in executor.failed] == list(range(5))
    assert not executor.calls.full()


def test_the_fd_tells_of_results_and_they_come_together(executor):
    executor.put(1, 2, 3)
    executor.run(1, 2)
    assert executor.readable(20)
    assert executor.results.recv().work_id == 1
    # What is at hand is asked for first; the fd tells of what is not.
    assert executor.results.at_hand
    assert not executor.readable()
    assert executor.results.get().work_id == 2
    executor.run(3)
    assert executor.readable(20)
    assert executor.results.recv().work_id == 3


def test_what_nobody_has_any_more_is_gone_without_the_collector(executor):
    executor.readable()
    left = weakref.ref(executor.results)
    gc.disable()
    try:
        executor.results = None
        assert left() is None
    finally:
        gc.enable()


def test_an_fd_that_told_too_much(executor):
    executor.readable()
    assert executor.results.recv() is None


@pytest.fixture
def thread(executor):
    """As much of the thread that manages an executor as waits; one process, and who wakes it."""
    word, end = connection.Pipe(), connection.Pipe()
    yield SimpleNamespace(
        result_queue=executor.results,
        call_queue=executor.calls,
        thread_wakeup=SimpleNamespace(_reader=word[0]),
        processes={5_000_001: SimpleNamespace(sentinel=end[0].fileno())},
        wake=lambda: word[1].send_bytes(b""),
        end=lambda: end[1].close(),
    )
    for one in (*word, *end):
        one.close()


@pytest.mark.parametrize("reason", ["wake", "end"])
def test_for_a_word_or_the_end_of_a_process_the_stock_waits(executor, thread, reason):
    waits = wait_result(lambda _: "waited")
    getattr(thread, reason)()
    assert waits(thread) == "waited"
    # It prefers a result, and it clears the word.
    executor.put(1)
    executor.run(1)
    assert executor.readable(20)
    assert waits(thread) == "waited"


def test_a_result_alone_is_taken_without_the_stock(executor, thread):
    executor.put(1)
    executor.run(1)
    item, broken, cause = wait_result(None)(thread)
    assert (item.work_id, broken, cause) == (1, False, None)


def test_a_result_that_cannot_be_read_is_the_end_of_the_executor(executor, thread):
    executor.put(1)
    executor.calls.tasks.theirs.post(b"no pickle")
    item, broken, cause = wait_result(None)(thread)
    assert (item, broken) == (None, True)
    assert "Traceback" in cause[0]


def test_processes_that_come_later_are_looked_after(executor, thread):
    executor.put(1, 2)
    executor.run(1)
    waits = wait_result(lambda _: "waited")
    assert waits(thread)[0].work_id == 1
    thread.processes[5_000_002] = SimpleNamespace(sentinel=thread.processes[5_000_001].sentinel)
    thread.processes.pop(5_000_001)
    thread.end()
    assert waits(thread) == "waited"


def test_what_came_is_given_before_anything_is_waited_for(executor, thread):
    waits = wait_result(lambda _: "waited")
    thread.wake()
    assert waits(thread) == "waited"
    thread.thread_wakeup._reader.recv_bytes()
    executor.put(1, 2)
    executor.run(1, 2)
    assert executor.readable(20)
    executor.results.recv()
    item, broken, cause = waits(thread)
    assert (item.work_id, broken, cause) == (2, False, None)
    thread.wake()
    assert waits(thread) == "waited"


def test_what_was_put_is_sent_before_anything_is_waited_for(executor, thread):
    thread.wake()
    executor.calls.tasks._since = float("inf")
    executor.calls.put(_CallItem(1, str, (), {}))
    assert executor.calls.tasks._short
    wait_result(lambda _: None)(thread)
    assert not executor.calls.tasks._messages


def test_an_executor_with_queues_of_its_own_keeps_them():
    made = SimpleNamespace(_call_queue="calls", _result_queue="results")
    init(lambda self: None)(made)
    assert (made._call_queue, made._result_queue) == ("calls", "results")


def test_one_with_ours_has_others_instead():
    import multiprocessing

    results = SimpleQueue(ctx=multiprocessing.get_context("fork"))
    made = SimpleNamespace(_call_queue=SimpleNamespace(_maxsize=3), _result_queue=results)
    init(lambda self: None)(made)
    assert type(made._call_queue) is CallQueue
    assert type(made._result_queue) is CallResults
    results.close()


@pytest.fixture
def ended():
    """A process whose end is known, and a wake-up that nobody gives."""
    (sentinel, other), (reader, writer) = connection.Pipe(), connection.Pipe()
    other.close()
    yield {7: SimpleNamespace(sentinel=sentinel.fileno())}, SimpleNamespace(_reader=reader, writer=writer)
    for end in (sentinel, reader, writer):
        end.close()


def test_what_an_ended_process_has_sent_comes_before_its_end(executor, ended, monkeypatch):
    processes, wakeup = ended
    executor.put(1, 2)
    executor.run(1, 2)
    with monkeypatch.context() as patch:
        # Its pop is sent only when its end is known, and what that brings is not here yet.
        patch.setattr(Outstanding, "wait", lambda *_: [(processes[7].sentinel, select.POLLIN)])
        for number in (1, 2):
            assert executor.results.at_hand or executor.results.alone_tells(wakeup, processes)
            found = executor.results.get() if executor.results.at_hand else executor.results.recv()
            assert found.work_id == number
        executor.put(3)
        assert not executor.results.alone_tells(wakeup, processes)
    executor.run(3)
    assert executor.readable(20)
    # Both are there: the stock takes the result first.
    assert not executor.results.alone_tells(wakeup, processes)
    assert executor.results.recv().work_id == 3


def test_an_end_without_a_result_is_left_to_the_stock(executor, ended):
    processes, wakeup = ended
    executor.put(1)
    assert not executor.results.alone_tells(wakeup, processes)
