from __future__ import annotations

import threading

import pytest

from transparent_mp.primitives.calls import Calls

LONG = 20


class Tasks:
    """Keeps what it is told, and by which thread."""

    def __init__(self):
        self.told, self.threads = [], []
        self.full = False

    def put(self, task):
        self.told.append(task)
        self.threads.append(threading.get_ident())

    def prepared(self, task):
        if task == "cannot be pickled":
            raise TypeError
        return task

    def put_own(self, task):
        self.put(task)

    def too_many(self):
        return self.full

    def flush(self):
        self.told.append("flush")


def apply(calls, task):
    if not calls.put_own(task):
        apply_async(calls, task)


def apply_async(calls, *tasks):
    calls.put(([*tasks], None))


@pytest.fixture
def tasks():
    return Tasks()


@pytest.fixture
def calls(tasks):
    return Calls(tasks)


def handle(calls, tasks):
    """What the pool's thread does, until the pool is closed."""
    for found, _ in iter(calls.get, None):
        for task in found:
            tasks.put(task)


def test_calls_that_are_there_go_together(calls, tasks):
    for task in (1, 2, 3):
        apply_async(calls, task)
    calls.put(None)
    handle(calls, tasks)
    assert tasks.told == [1, 2, 3]


def test_nothing_is_held_back_while_a_call_is_waited_for(calls, tasks):
    apply_async(calls, 1)
    next(iter(calls.get()[0]))
    thread = threading.Thread(target=calls.get)
    thread.start()
    # Whoever waits has sent before.
    while thread.is_alive() and not tasks.told:
        thread.join(0.001)
    assert tasks.told == ["flush"]
    calls.put(None)
    thread.join(LONG)


def test_what_a_programs_iterator_gives_goes_one_by_one(calls, tasks):
    # Sent after each: the next may wait for its result.
    calls.put((iter([1, 2]), None))
    calls.put(None)
    handle(calls, tasks)
    assert tasks.told == ["flush", 1, "flush", 2, "flush"]


def test_who_waits_puts_by_himself(calls, tasks):
    apply(calls, 1)
    assert tasks.told == [1]
    assert calls.empty()


def test_but_not_before_what_is_under_way(calls, tasks):
    apply_async(calls, 1)
    apply(calls, 2)
    assert tasks.told == []
    (found, _) = calls.get()
    # It is got and not put.
    apply(calls, 3)
    assert [*found] == [1]
    assert [*calls.get()[0], *calls.get()[0]] == [2, 3]


@pytest.mark.parametrize("task", ["cannot be pickled", "of too many"])
def test_what_cannot_be_put_at_once_is_left_to_the_thread(calls, tasks, task):
    tasks.full = task == "of too many"
    apply(calls, task)
    assert tasks.told == []
    assert [*calls.get()[0]] == [task]


def test_who_puts_a_call_waits_for_nobody(calls, tasks):
    # As a signal's handler does, in the middle of what it has interrupted.
    tasks.put_own = lambda task: (apply_async(calls, 2), tasks.put(task))
    apply(calls, 1)
    assert tasks.told == [1]
    assert [*calls.get()[0]] == [2]


def test_the_thread_waits_for_who_puts_a_task_by_himself(calls, tasks):
    got = []
    thread = threading.Thread(target=lambda: got.append(calls.get()))

    def put_own(task):
        apply_async(calls, 2)
        thread.start()
        thread.join(0.05)
        assert got == []
        tasks.put(task)

    tasks.put_own = put_own
    apply(calls, 1)
    thread.join(LONG)
    assert len(got) == 1
