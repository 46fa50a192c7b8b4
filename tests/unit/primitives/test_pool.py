"""What ours does about CPython's Pool; pools at work are in the contract's programs."""

from __future__ import annotations

import gc
from multiprocessing import pool as stdlib

import pytest

from transparent_mp.primitives import pool
from transparent_mp.primitives.calls import AtHand

#: As the patch gets it.
DIVIDE = vars(stdlib.Pool)["_get_tasks"]


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


class Told(list):
    """A notifier."""

    put = list.append


class Running:
    """As much of a Pool as has to do with its cache."""

    def __init__(self):
        self._state = stdlib.RUN
        self._change_notifier = Told()
        self._cache = stdlib._PoolCache(notifier=pool.WhenEnding(self))

    def result(self):
        self._cache[1] = object()
        del self._cache[1]


def test_who_looks_after_processes_is_told_of_last_results_only_when_the_pool_ends():
    running = Running()
    running.result()
    assert running._change_notifier == []
    running._state = stdlib.CLOSE
    running.result()
    assert running._change_notifier == [None]


def test_and_when_nobody_has_the_pool_any_more():
    running = Running()
    cache, told = running._cache, running._change_notifier
    cache[1] = object()
    del running
    gc.collect()
    del cache[1]
    assert told == [None]


def _numbered(_pool, job, func, iterable):
    return ((job, number, func, (item,), {}) for number, item in enumerate(iterable))
