"""What ours does about CPython's Pool; pools at work are in the contract's programs."""

from __future__ import annotations

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


def _numbered(_pool, job, func, iterable):
    return ((job, number, func, (item,), {}) for number, item in enumerate(iterable))
