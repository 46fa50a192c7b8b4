from __future__ import annotations

import itertools
import random
import threading

import pytest

from transparent_mp.store import replay
from transparent_mp.store.replay import NUMBER, SPAN, Numbers, Seen


def counted(count: int, stream: bytes = b"stream-1") -> bytes:
    return stream + count.to_bytes(8, "little")


def test_a_number_is_new_once() -> None:
    numbers, seen = Numbers(), Seen()
    given = [numbers.next("me") for _ in range(5000)]
    assert {len(number) for number in given} == {NUMBER}
    assert [seen.first(number) for number in given] == [True] * 5000
    assert [seen.first(number) for number in given] == [False] * 5000


def test_a_forked_process_has_numbers_of_its_own() -> None:
    numbers, seen = Numbers(), Seen()
    given = [numbers.next(uid) for uid in ("parent", "child", "parent", "child")]
    assert len(set(given)) == 4
    assert all(seen.first(number) for number in given)


def test_threads_get_different_numbers() -> None:
    numbers = Numbers()
    given: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: given.extend([numbers.next("me") for _ in range(500)]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(given)) == 4000


@pytest.mark.parametrize("seed", range(20))
def test_in_any_order_each_is_new_once(seed: int) -> None:
    chosen = random.Random(seed)
    counts = chosen.sample(range(chosen.choice([3000, 300_000])), 3000)
    seen = Seen()
    for count in counts:
        assert seen.first(counted(count))
        assert not seen.first(counted(count))
        assert not seen.first(counted(chosen.choice(counts[: counts.index(count) + 1])))


def test_what_is_put_back_may_be_overtaken_by_many() -> None:
    seen = Seen()
    assert all(seen.first(counted(count)) for count in range(0, SPAN // 2, 97) if count)
    assert seen.first(counted(0))
    assert not seen.first(counted(0))


def test_what_is_older_than_can_be_remembered_counts_as_received() -> None:
    seen = Seen()
    assert all(seen.first(counted(count)) for count in range(1, 3 * SPAN, 1000))
    assert not seen.first(counted(0))


def test_messages_in_order_cost_no_memory() -> None:
    seen = Seen()
    assert all(seen.first(counted(count)) for count in range(100_000))
    (had,) = seen._streams.values()
    assert had._chunks == {}
    # And none when they come out of order as threads make them.
    for low in range(100_000, 200_000, 10):
        order = random.Random(low).sample(range(low, low + 10), 10)
        assert all(seen.first(counted(count)) for count in order)
    assert len(had._chunks) <= 1


def test_streams_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "STREAMS", 10)
    seen = Seen()
    for stream in itertools.islice(itertools.count(), 100):
        assert seen.first(counted(0, stream.to_bytes(8, "big")))
    assert len(seen._streams) == 10


@pytest.mark.parametrize("seed", range(40))
def test_several_at_once_are_as_each_by_itself(seed: int) -> None:
    chosen = random.Random(seed)
    span = chosen.choice([40, 3000, 300_000])
    seen, had = Seen(), set()
    for _ in range(400):
        begin = chosen.randrange(span)
        end = begin + chosen.randrange(1, 70)
        if chosen.random() < 0.3:
            # Those of which one was there are all had from then on.
            new = had.isdisjoint(range(begin, end))
            assert seen.all_first(counted(0), begin, end) == new
            had |= set(range(begin, end))
        elif chosen.random() < 0.3:
            seen.put_back(counted(begin), 0, end - begin)
            had -= set(range(begin, end))
        else:
            assert seen.first(counted(begin)) == (begin not in had)
            had.add(begin)
    for count in range(min(span, 4000)):
        assert seen.first(counted(count)) == (count not in had)


def test_several_numbers_are_nobody_elses() -> None:
    numbers, seen = Numbers(), Seen()
    assert seen.first(numbers.next("me"))
    run = numbers.several("me", 30)
    assert seen.all_first(run, 0, 30)
    assert seen.all_first(numbers.several("me", 2), 0, 2)
    assert seen.first(numbers.next("me"))
    assert not seen.first(counted(31, run[:8]))
    # A forked child's.
    assert numbers.several("child", 30)[:8] != run[:8]
    assert seen.all_first(numbers.several("child", 30), 0, 30)
