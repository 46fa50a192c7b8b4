from __future__ import annotations

import threading

import pytest

from transparent_mp.errors import StoreReplyError
from transparent_mp.primitives import tracts
from transparent_mp.primitives.diff import BLOCK

#: Blocks of a segment that is not small.
SIZE = 12


@pytest.fixture(autouse=True)
def without_tracts(monkeypatch):
    """Blocks by themselves: what is written together has its own tests."""
    monkeypatch.setattr(tracts, "LEAST", SIZE + 1)


@pytest.fixture
def two(processes):
    return processes(bytes(SIZE * BLOCK))


def fields(process):
    """What the segment has of blocks and masks."""
    store, keys = process.session.store, process.session.keys
    found = store.ask("HKEYS", keys.object(process.replica.oid, "d"))
    return sorted(name.decode() for name in found if b"." in name or name.isdigit())


def change(process, value, first=0, count=2, step=1):
    process.view[first * BLOCK : (first + count) * BLOCK : step] = bytes((value,)) * (count * BLOCK // step)


def sent(process, commands):
    process.session.store.call(*commands)


def published(process):
    with process.engine.sending():
        return list(process.engine.publish())


def test_the_script_is_given_no_bytes_of_whole_blocks(two):
    one, other = two
    change(one, 7, step=2)
    change(one, 8, 5)
    commands = published(one)
    assert [command[0] for command in commands] == ["HMSET", "HMSET", "PEXPIRE", "EVALSHA"]
    assert max(len(arg) for arg in commands[-1] if isinstance(arg, bytes)) < 10
    sent(one, commands)
    other.acquire()
    assert bytes(other.view) == bytes(one.view)


@pytest.mark.parametrize("step", [1, 2])
def test_a_block_lies_in_one_place_and_no_mask_is_left(two, step):
    one, other = two
    for turn in range(1, 6):
        change(one, turn, 0, 3, step)
        one.release()
        one.view[BLOCK + 100] = 200 + turn
        one.release()
        other.acquire()
        change(other, turn + 100, 2, 3, step)
        other.release()
        one.acquire()
        assert bytes(other.view) == bytes(one.view)
        assert [name.partition(":")[0] for name in fields(one)] == [str(block) for block in range(5)]


def test_of_two_that_did_not_know_of_each_other_both_stay(two):
    one, other = two
    change(one, 1, step=2)
    other.view[1 : 2 * BLOCK : 2] = b"2" * BLOCK
    one.release()
    other.release()
    one.acquire()
    other.acquire()
    assert bytes(one.view[: 2 * BLOCK]) == bytes(other.view[: 2 * BLOCK]) == b"\x012" * BLOCK
    assert fields(one) == ["0", "1"]


def test_what_comes_late_overwrites_nothing_and_leaves_nothing(two):
    one, other = two
    change(one, 1, step=2)
    late = published(one)
    # Of the same bytes, in the meantime.
    sent(one, late)
    change(one, 2, step=2)
    one.release()
    other.acquire()
    change(other, 3, 1, 1)
    other.release()
    sent(one, late)
    assert len(fields(one)) == 2
    one.acquire()
    other.acquire()
    assert bytes(one.view) == bytes(other.view)
    assert (one.view[0], one.view[BLOCK]) == (2, 3)


def test_another_threads_publication_may_be_overtaken(two):
    one, other = two
    change(one, 1)
    earlier = []
    thread = threading.Thread(target=lambda: earlier.extend(one.engine.publish()))
    thread.start()
    thread.join()
    change(one, 2, 1)
    one.release()
    other.acquire()
    assert (other.view[0], other.view[BLOCK]) == (1, 2)
    change(other, 9, 0, 1)
    other.release()
    sent(one, earlier)
    one.acquire()
    assert (one.view[0], one.view[BLOCK]) == (9, 2)
    assert [name.partition(":")[0] for name in fields(one)] == ["0", "1", "2"]


def test_bytes_beside_a_segment_that_nobody_published_are_not_seen(two):
    one, other = two
    change(one, 1)
    beside, expiry, script = published(one)
    sent(one, (beside, expiry))
    other.acquire()
    assert not any(other.view)
    change(other, 2, 1, 1)
    other.release()
    sent(one, (script,))
    other.acquire()
    one.acquire()
    assert bytes(one.view) == bytes(other.view)
    assert [name.partition(":")[0] for name in fields(one)] == ["0", "1"]


def test_nothing_stays_of_what_comes_after_the_segments_end(two):
    one, _other = two
    change(one, 1)
    commands = published(one)
    keys = [one.session.keys.object(one.replica.oid, part) for part in ("h0", "d", "g")]
    one.session.store.ask("DEL", *keys)
    sent(one, commands)
    assert one.session.store.ask("EXISTS", *keys) == 0
    # Nor for long, where even the script does not come.
    sent(one, commands[:2])
    assert 0 < one.session.store.ask("PTTL", keys[1]) <= one.session.ttl
    one.session.store.ask("DEL", *keys)


@pytest.mark.parametrize("refused", [0, 1])
def test_bytes_that_the_store_has_refused_are_not_published(two, refused):
    one, other = two
    change(one, 1, step=2)
    one.view[5 * BLOCK] = 1
    commands = published(one)
    del commands[refused]
    with pytest.raises(StoreReplyError, match="refused bytes of shared memory"):
        sent(one, commands)
    other.acquire()
    assert not any(other.view)


def test_nothing_is_lost_or_older_when_the_connection_ends(two):
    one, other = two
    for turn in range(1, 25):
        for part in range(3):
            change(one, 10 * (turn % 20) + part, part, 3, turn % 2 + 1)
            with one.engine.sending():
                one.session.store.cast(*one.engine.publish())
        if turn % 3 == 0:
            # What it has not heard of is sent again, though all of it was done.
            other.session.store.ask("CLIENT", "KILL", "ID", one.session.store._line.link.number)
        one.session.store.settle()
        other.acquire()
        assert bytes(other.view) == bytes(one.view)
        change(other, turn, 4, 2)
        other.release()
        one.acquire()
        assert bytes(other.view) == bytes(one.view)
