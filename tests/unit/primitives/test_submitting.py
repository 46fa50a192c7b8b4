"""What ours does when a call is submitted; executors at work are in the contract's programs."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import process as stdlib

import pytest

from tests.unit.primitives.test_executor import Executor
from transparent_mp.errors import StoreError
from transparent_mp.primitives import submitting

pytestmark = pytest.mark.usefixtures("ours")

SUBMIT = submitting.submit(stdlib.ProcessPoolExecutor.submit)


class Started:
    """A process of an executor."""

    def __init__(self):
        self.terminated = 0

    def terminate(self):
        self.terminated += 1
        raise StoreError("it was lost")


class Submitted:
    """As much of an executor as has to do with submitting, and with queues of ours."""

    submit = SUBMIT

    def __init__(self, behind):
        self.behind = behind
        self._call_queue = behind.calls
        self._executor_manager_thread_wakeup = stdlib._ThreadWakeup()
        self._executor_manager_thread = object()
        self._shutdown_lock = threading.Lock()
        self._broken = self._shutdown_thread = False
        self._safe_to_dynamically_spawn_children = True
        self._queue_count = 0
        self._pending_work_items, self._processes = {}, {}
        self._work_ids = queue.Queue()
        self.starts = 0
        #: What happens while they start.
        self.meanwhile = lambda: None

    def _adjust_process_count(self):
        for _ in range(self.starts):
            self.meanwhile()
            self._processes[len(self._processes)] = Started()

    def _start_executor_manager_thread(self):
        pass

    def _start_queue_management_thread(self):
        pass

    def woken(self):
        wakeup = self._executor_manager_thread_wakeup
        found = wakeup._reader.poll()
        wakeup.clear()
        return found

    def left(self):
        """The calls that are left to the thread."""
        return list(self._work_ids.queue)


@pytest.fixture
def executor(player, pickled):
    submitted = Submitted(Executor(player, pickled))
    yield submitted
    submitted._executor_manager_thread_wakeup.close()


def is_put_by_the_caller(executor, future):
    return not executor.woken() and executor.left() == [] and future.running()


def test_who_submits_the_only_call_puts_it_and_wakes_nobody(executor):
    future = executor.submit(str, 1)
    assert is_put_by_the_caller(executor, future)
    executor.behind.run(0)
    assert executor.behind.readable(20)
    assert executor.behind.results.recv().result == "0"


def test_while_one_has_no_result_the_thread_puts_the_next(executor):
    executor.submit(str, 1)
    executor.submit(str, 2)
    assert executor.woken()
    assert executor.left() == [1]


def test_the_thread_was_faster(executor):
    taken = []
    executor._start_executor_manager_thread = lambda: taken.append(executor._work_ids.get())
    assert not executor.submit(str, 1).running()
    assert taken == [0]
    assert not executor.woken()


@pytest.mark.parametrize("argument", [b"x" * 100_000, "x" * 100_000, bytearray(100_000)])
def test_large_arguments_are_the_threads(executor, argument):
    for args, kwargs in (((argument,), {}), ((), {"key": argument})):
        executor._pending_work_items.clear()
        executor.submit(str, *args, **kwargs)
        assert executor.woken()
    assert executor.left() == [0, 1]


def test_so_are_large_arrays(executor):
    numpy = pytest.importorskip("numpy")
    executor.submit(str, numpy.zeros(100_000))
    assert executor.woken()
    assert executor.left() == [0]


def test_a_thread_that_has_another_process_to_look_after_is_woken(executor):
    executor.starts = 1
    executor.submit(str, 1)
    assert executor.woken()
    assert executor.left() == [0]


def test_a_process_that_starts_while_the_executor_breaks_is_ended(executor):
    executor.starts = 1
    executor.submit(str, 1)
    assert executor._processes[0].terminated == 0
    executor.meanwhile = lambda: setattr(executor, "_broken", "a child terminated abruptly")
    executor.submit(str, 2)
    # Its thread ends those that it knew, and waits for this one as well.
    assert executor._processes[1].terminated == 1
    with pytest.raises(stdlib.BrokenProcessPool):
        executor.submit(str, 3)
    assert executor._processes[1].terminated == 1


def test_what_cannot_be_pickled_is_left_to_the_thread(executor):
    executor.submit(lambda: None)
    assert executor.woken()
    assert executor.left() == [0]


def test_no_lock_of_the_executor_is_held_while_its_call_is_pickled(executor):
    class Submits:
        def __reduce__(self):
            executor.submit(str, 2)
            return str, ()

    executor.submit(str, Submits())
    assert executor.woken()
    assert executor.left() == [1]


def test_who_is_interrupted_leaves_the_call_to_the_thread(executor):
    class Interrupts:
        def __reduce__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        executor.submit(str, Interrupts())
    assert executor.woken()
    assert executor.left() == [0]


def test_a_store_that_is_lost_is_the_calls_error(executor, monkeypatch):
    def lost(_prepared):
        raise StoreError("it is away")

    monkeypatch.setattr(executor.behind.calls.tasks, "put_own", lost)
    future = executor.submit(str, 1)
    with pytest.raises(StoreError, match="away"):
        future.result(0)
    assert executor._pending_work_items == {}


def test_one_that_was_cancelled_meanwhile_is_not_put(executor, monkeypatch):
    prepared = executor.behind.calls.tasks.prepared

    def cancelled(call):
        assert executor._pending_work_items[0].future.cancel()
        return prepared(call)

    monkeypatch.setattr(executor.behind.calls.tasks, "prepared", cancelled)
    assert executor.submit(str, 1).cancelled()
    assert executor.behind.calls.tasks.unfinished() == 0
    assert executor._pending_work_items == {}


def test_who_has_queues_of_his_own_submits_as_ever(executor):
    executor._call_queue = None
    executor.submit(str, 1)
    assert executor.woken()
    assert executor.left() == [0]


def test_another_thread_wakes_as_ever(executor):
    executor.submit(str, 1)
    wakeup = executor._executor_manager_thread_wakeup
    wakeup.quiet = 17
    wakeup.wakeup()
    assert executor.woken()
