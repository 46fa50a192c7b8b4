from __future__ import annotations

import pytest

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
