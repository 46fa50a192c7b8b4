from __future__ import annotations

import pytest

from tests.unit.primitives.test_tasks import Pool
from transparent_mp.store.link import Link

pytestmark = pytest.mark.usefixtures("ours")


@pytest.fixture
def pool(player, pickled):
    pool = Pool(player, pickled)
    pool.first = pool.process()
    return pool


@pytest.fixture
def sent(monkeypatch):
    """The names of the pops that are sent."""
    names = []
    send = Link.send

    def noting(self, commands):
        commands = tuple(commands)
        names.extend(command[0] for command in commands if "POP" in command[0])
        send(self, commands)

    monkeypatch.setattr(Link, "send", noting)
    return names


def answered(pool, *names):
    pool.put(*names)
    for name in names:
        pool.tasks.answer(name)


def test_what_has_come_together_is_fetched_together(pool, sent):
    answered(pool, *range(20))
    sent.clear()
    assert [pool.results.get() for _ in range(20)] == list(range(20))
    assert sent == ["BLPOP", "LPOP"]


def test_a_single_one_is_fetched_by_one_command(pool, sent):
    answered(pool, "a")
    sent.clear()
    assert pool.results.get() == "a"
    assert sent == ["BLPOP"]


def test_whether_one_is_at_hand(pool):
    answered(pool, "a", "b")
    assert not pool.results.at_hand
    pool.results.get()
    assert pool.results.at_hand
    pool.results.get()
    assert not pool.results.at_hand


def test_the_end_is_no_tasks_result(pool):
    answered(pool, "a")
    pool.results.put(None)
    assert [pool.results.get(), pool.results.get()] == ["a", None]


def test_a_large_result(pool):
    large = "x" * 1_000_000
    answered(pool, large)
    assert pool.results.get() == large
