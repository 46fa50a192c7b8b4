"""What ours does about CPython's Pool; pools at work are in the contract's programs."""

from __future__ import annotations

import queue
from multiprocessing import pool as stdlib
from types import SimpleNamespace

import pytest

from transparent_mp.primitives import pool
from transparent_mp.primitives.pool import AtHand

#: As the patch gets it.
DIVIDE = vars(stdlib.Pool)["_get_tasks"]


class Tasks:
    """Keeps what it is told."""

    def __init__(self):
        self.told = []

    def put(self, task):
        self.told.append(task)

    def flush(self):
        self.told.append("flush")


def handled(*calls):
    """What the tasks of these calls are told until the pool is closed."""
    tasks, waiting = Tasks(), queue.SimpleQueue()
    for call in (*calls, None):
        waiting.put(call)
    for found, _ in iter(pool._Bursts(waiting, tasks).get, None):
        for task in found:
            tasks.put(task)
    return tasks.told


def test_calls_that_are_there_go_together():
    assert handled(([1], None), ([2], None), ([3], None)) == [1, 2, 3]


def test_nothing_is_held_back_when_no_call_is_there():
    tasks = Tasks()
    calls = SimpleNamespace(empty=lambda: True, get=lambda: tasks.told.append("wait"))
    assert pool._Bursts(calls, tasks).get() is None
    assert tasks.told == ["flush", "wait"]


def test_what_a_programs_iterator_gives_goes_one_by_one():
    # Flushed after each: the next may wait for its result.
    assert handled((iter([1, 2]), None)) == ["flush", 1, "flush", 2, "flush"]


@pytest.mark.parametrize("items", [[1, 2, 3], (1, 2, 3), range(1, 4)], ids=["list", "tuple", "range"])
def test_items_and_chunks_of_what_is_there_are_at_hand(items):
    chunks = pool.get_tasks(DIVIDE).__func__(str, items, 2)
    assert type(chunks) is AtHand
    assert type(pool.guarded_task_generation(_numbered)(None, 0, str, chunks)) is AtHand
    assert list(chunks) == [(str, (1, 2)), (str, (3,))]
    assert type(pool.guarded_task_generation(_numbered)(None, 0, str, items)) is AtHand


class Own(list):
    """Of a program's class, whose iterator may be anything."""


@pytest.mark.parametrize("items", [iter([1]), Own([1]), {1}], ids=["iterator", "subclass", "set"])
def test_items_of_others_are_not(items):
    chunks = pool.get_tasks(DIVIDE).__func__(str, items, 2)
    assert type(chunks) is not AtHand
    assert type(pool.guarded_task_generation(_numbered)(None, 0, str, chunks)) is not AtHand


def _numbered(_pool, job, func, iterable):
    return ((job, number, func, (item,), {}) for number, item in enumerate(iterable))
