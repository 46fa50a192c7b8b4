from __future__ import annotations

import functools

import pytest

from tests.unit.primitives.test_taking import holding, is_told_for, is_told_once, run  # noqa: F401  a fixture
from tests.unit.primitives.test_tasks import LONG
from transparent_mp.errors import UntrustedPayloadError
from transparent_mp.primitives import groups
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives import tasks as module
from transparent_mp.store.replay import Numbers, Seen

pytestmark = pytest.mark.usefixtures("ours", "patient")


@pytest.fixture
def together(pool, monkeypatch):
    """Put tasks in groups of four."""
    monkeypatch.setattr(module, "GROUP", 4)
    monkeypatch.setattr(module, "PARTS", 1)

    def put(*names):
        pool.tasks._together = 4
        # Not the first by itself.
        pool.tasks._since, pool.tasks._held = float("inf"), LONG
        pool.put(*names)

    return put


def lies_there(pool):
    """For how many tasks each of the messages stands that nobody has taken."""
    shared = pool.tasks.ours._shared
    return [groups.length(one) for one in sessions.current().store.ask("LRANGE", shared.outbound, 0, -1)]


def is_done(pool, process, *names):
    run(process, *names)
    process.settle()
    assert [pool.results.get() for _ in names] == [*names]


def test_short_tasks_go_in_groups_and_run_in_their_order(pool, together):
    together(*range(10))
    assert lies_there(pool) == [4, 4, 2]
    pool.first.many(100)
    is_done(pool, pool.first, *range(10))
    assert pool.tasks.unfinished() == 0


@pytest.mark.parametrize(("came", "sizes"), [(1, [1] * 8), (3, [3, 3, 2]), (200, [4, 4])])
def test_only_tasks_whose_results_come_together_do(pool, together, monkeypatch, came, sizes):
    together()
    pool.tasks._together = 0
    pool.tasks.came_together(came)
    pool.put(*range(8))
    assert lies_there(pool) == sizes


def test_tasks_whose_results_come_alone_are_soon_no_groups(pool):
    pool.tasks.came_together(100)
    for _ in range(5):
        pool.tasks.came_together(1)
    assert pool.tasks._together < 2


def test_each_process_is_to_have_some(pool, together, monkeypatch):
    monkeypatch.setattr(module, "PARTS", 2)
    _others = [pool.process() for _ in range(2)]
    together(*range(12))
    assert lies_there(pool) == [2] * 6


def test_a_large_task_goes_by_itself_and_keeps_its_place(pool, together):
    names = [0, 1, "x" * module.SMALL, 3, 4]
    together(*names)
    assert lies_there(pool) == [2, 1, 2]
    pool.first.many(100)
    is_done(pool, pool.first, *names)


def test_a_group_is_divided_where_its_tasks_are_many(pool, together):
    second = pool.process()
    together(*range(8))
    pool.first.many(100)
    # It waits for one, and gets the group.
    second.many(3)
    second.taker._more = second.taker._crowded = False
    assert [second.get(), pool.first.get()] == [0, 3]
    assert len(second.taker._ahead) == 2


def test_what_is_taken_of_a_group_is_a_share_of_what_lies_there(pool, together):
    second = pool.process()
    pool.first.many(100)
    pool.first.taker._more = True
    together(*range(12))
    assert pool.first.get() == 0
    # Six of twelve.
    assert len(pool.first.taker._ahead) == 5
    assert lies_there(pool) == [2, 4]
    # Three of six, though what lies first is short.
    second.many(100)
    is_done(pool, second, *range(6, 9))
    assert lies_there(pool) == [3]


def test_the_rest_of_a_group_is_given_back_behind_a_long_task(pool, together, patient, monkeypatch):
    monkeypatch.setattr(pool.first.taker, "_watch", functools.partial(patient, pool.first.taker))
    second = pool.process()
    pool.first.many(100)
    together(0, 1, 2, 3)
    assert pool.first.get() == 0
    got = []
    for _ in range(3):
        got.append(second.get())
        second.done(got[-1])
    assert sorted(got) == [1, 2, 3]
    pool.first.done(0)
    pool.first.settle()
    second.settle()
    assert sorted(pool.results.get() for _ in range(4)) == [0, 1, 2, 3]


def test_who_has_given_the_rest_back_may_take_it_again(pool, together):
    pool.first.many(100)
    together(0, 1, 2, 3)
    assert pool.first.get() == 0
    taker = pool.first.taker
    pool.first.player(taker._give_back, taker._ahead.forget(taker._seen))
    pool.first.done(0)
    assert [pool.first.get()] == [1]
    pool.first.done(1)
    run(pool.first, 2, 3)
    pool.first.settle()
    assert [pool.results.get() for _ in range(4)] == [0, 1, 2, 3]


def test_who_leaves_gives_back_what_it_has_not_begun_of_a_group(pool, together):
    pool.first.many(100)
    together(0, 1, 2, 3)
    run(pool.first, 0)
    assert pool.first.get() == 1
    pool.first.player(pool.first.taker.leave)
    assert pool.ended(pool.first) == [1]
    assert pool.process().get() == 2
    assert pool.results.get() == 0


def test_of_a_group_a_dead_process_had_begun_one(pool, together):
    pool.first.many(100)
    together(*range(8))
    run(pool.first, 0)
    assert pool.first.get() == 1
    assert pool.ended(pool.first) == [1]
    second = pool.process()
    second.many(100)
    assert pool.results.get() == 0
    is_done(pool, second, *range(2, 8))


def test_what_was_moved_for_a_process_and_never_seen_was_not_begun(pool, together):
    taker = pool.first.taker
    together(0, 1, 2, 3)
    store = pool.first.player.session.store
    store.call(("DEL", taker._begins), ("LMOVE", taker._list, taker._taken, "LEFT", "RIGHT"))
    assert pool.ended(pool.first) == []
    assert lies_there(pool) == [4]


def test_what_a_dead_process_had_not_told_of_a_group_is_told_for_it(pool, holding, together):  # noqa: F811
    together(*range(8))
    is_told_for(pool, holding)


def test_what_was_told_of_a_group_counts_once(pool, holding, together, monkeypatch):  # noqa: F811
    together(*range(8))
    is_told_once(pool, holding, monkeypatch)


def test_results_of_several_groups_go_in_one_message(pool, holding, together):  # noqa: F811
    _idle = pool.first
    together(*range(16))
    run(holding, *range(8))
    holding.settle()
    assert pool.tasks.ours.length() == 1
    assert [pool.results.get() for _ in range(8)] == [*range(8)]
    assert pool.ended(holding) == []
    assert lies_there(pool) == [4, 4]


def test_where_nobody_can_tell_all_that_was_taken_may_have_been_begun(pool, holding, together):  # noqa: F811
    together(*range(8))
    run(holding, 0)
    assert pool.ended(holding, vanished=True) == [0, 1, 2, 3]
    assert lies_there(pool) == [4]


def test_a_process_that_was_given_up_cannot_end_a_task_of_a_group(pool, together):
    pool.first.many(100)
    together(0, 1, 2, 3)
    assert pool.first.get() == 0
    assert pool.ended(pool.first, vanished=True) == [0]
    second = pool.process()
    second.many(100)
    is_done(pool, second, 1, 2, 3)
    assert pool.tasks.unfinished() == 1


@pytest.mark.parametrize("places", [b"\0\3\0\1", b"\0\2\0\2", b"\xff\xff\0\0"])
def test_a_group_that_stands_for_none_is_refused_once(pool, together, places):
    pool.first.many(100)
    together(*range(8))
    store, key = sessions.current().store, pool.tasks.ours._shared.outbound
    message = store.ask("LINDEX", key, 0)
    store.call(("LSET", key, 0, message[:33] + places + message[37:]))
    with pytest.raises(UntrustedPayloadError, match="stands for tasks"):
        pool.first.get()
    pool.first.player(pool.first.taker.leave)
    pool.ended(pool.first)
    second = pool.process()
    second.many(100)
    is_done(pool, second, 4, 5, 6, 7)


class Message:
    """A group, and one that receives it."""

    def __init__(self, session):
        self.session, self.list = session, "place"
        self.bytes = groups.sealed(session, self.list, Numbers(), [b"one", b"two", b"three"])
        self.ahead, self.seen = groups.Ahead(session, self.list), Seen()

    def begin(self):
        return self.ahead.begin(self.seen)

    def part(self, first, end):
        return self.bytes[:33] + first.to_bytes(2, "big") + end.to_bytes(2, "big") + self.bytes[37:]


@pytest.fixture
def message(own_session):
    return Message(own_session)


def test_tasks_of_a_group_come_one_by_one(message):
    message.ahead.extend([message.bytes])
    assert len(message.ahead) == 3
    assert [bytes(message.begin()[0]) for _ in range(3)] == [b"one", b"two", b"three"]
    assert not message.ahead


def test_a_part_of_it_is_what_it_says(message):
    message.ahead.extend([message.part(1, 2), message.part(2, 3)])
    assert [bytes(message.begin()[0]) for _ in range(2)] == [b"two", b"three"]


def test_none_is_begun_twice(message):
    message.ahead.extend([message.part(0, 2), message.part(1, 3)])
    message.begin()
    message.begin()
    with pytest.raises(UntrustedPayloadError, match="received before"):
        message.begin()


@pytest.mark.parametrize(("first", "end"), [(0, 4), (2, 2), (2, 1), (3, 4), (65535, 0)])
def test_a_part_that_is_none(message, first, end):
    message.ahead.extend([message.part(first, end)])
    with pytest.raises(UntrustedPayloadError, match="stands for tasks"):
        message.begin()
    # Who leaves asks how many are left.
    assert len(message.ahead) == 0
    assert message.ahead.forget(message.seen) == 0


@pytest.mark.parametrize("at", [0, 20, 32, 40, -1])
def test_one_that_was_changed(message, at):
    changed = bytearray(message.bytes)
    changed[at] ^= 1
    message.ahead.extend([bytes(changed)])
    if at == 32:
        # No group any more: who opens it as a message sees that.
        assert message.begin()[1]
        return
    with pytest.raises(UntrustedPayloadError):
        message.begin()


def test_it_is_forgotten_from_behind(message):
    message.ahead.extend([message.bytes, message.part(0, 1)])
    message.begin()
    assert message.ahead.forget(message.seen, 2) == 1
    assert message.ahead.forget(message.seen, 1) == 1
    assert len(message.ahead) == 1
    assert message.ahead.forget(message.seen) == 1
    assert not message.ahead


def test_what_is_more_than_a_process_wants_stays_as_it_is(pool, together):
    large = "x" * module.SMALL
    together(large, 0, 1, 2, 3, large + "y")
    pool.first.many(5)
    is_done(pool, pool.first, large, 0, 1, 2, 3, large + "y")
    assert lies_there(pool) == []


def test_one_that_is_cut_is_no_group(message):
    message.ahead.extend([message.bytes[:at] for at in (0, 16, 33, 36)])
    assert [message.begin()[1] for _ in range(4)] == [True] * 4


def test_what_is_refused_is_counted(message):
    store, key = message.session.store, message.session.keys("refused")
    before = int(store.ask("GET", key) or 0)
    message.ahead.extend([message.bytes[:-1]])
    with pytest.raises(UntrustedPayloadError):
        message.begin()
    store.settle()
    assert int(store.ask("GET", key)) == before + 1
