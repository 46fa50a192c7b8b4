from __future__ import annotations

import pytest

from transparent_mp.errors import UntrustedPayloadError
from transparent_mp.primitives import bulk, diff, replica
from transparent_mp.primitives.bulk import MOST
from transparent_mp.primitives.diff import BLOCK, LEFT, Tract
from transparent_mp.primitives.tracts import LEAST, OFTEN, ROUNDS, WRITERS, Held, Tracts, held

#: Blocks of a segment, the last of which is short, and those that are written in rounds.
SIZE, WRITTEN = 20, 6
BYTES = SIZE * BLOCK - 100


@pytest.fixture(autouse=True)
def without_numpy(monkeypatch):
    monkeypatch.setattr(diff, "loaded_numpy", lambda: None)


def fill(process, value, first=0, count=WRITTEN):
    """All bytes but each eighth."""
    for at in range(7):
        part = process.view[first * BLOCK + at : (first + count) * BLOCK : 8]
        part[:] = bytes((value,)) * len(part)


def rounds(process, first=0, count=WRITTEN, times=ROUNDS + 1):
    for turn in range(1, times + 1):
        fill(process, turn, first, count)
        process.release()


def published(process):
    with process.engine.sending():
        return list(process.engine.publish())


def fields(process):
    """What the segment has of blocks, tracts, masks and claims."""
    found = process.session.store.ask("HKEYS", process.session.keys.object(process.replica.oid, "d"))
    return sorted(name.decode() for name in found if len(name) > 1 or name.isdigit())


def contents(process):
    """Fields with bytes of blocks."""
    return [name for name in fields(process) if name[0].isdigit()]


def words(process):
    found = process.session.store.ask("HGET", process.session.keys.object(process.replica.oid, "d"), "t")
    return [one.split()[-1].decode() for one in (found or b"").split(b";")[:-1]]


def agree(*processes):
    for process in processes:
        process.acquire()
    assert len({bytes(process.view) for process in processes}) == 1


def test_what_is_written_whole_in_rounds_becomes_one_string(processes):
    one, other = processes(bytes(BYTES))
    rounds(one)
    assert [name.partition(":")[0] for name in contents(one)] == ["0"]
    assert not [name for name in fields(one) if name.startswith("b:")]
    agree(one, other)
    fill(one, 9)
    commands = published(one)
    # No mask, and a number of words that does not grow with the blocks.
    assert [command[0] for command in commands] == ["HMSET", "PEXPIRE", "EVALSHA"]
    assert len(commands[0]) == 4
    one.session.store.call(*commands)
    agree(one, other)
    assert len(contents(one)) == 1
    assert words(one) == ["L"]


@pytest.mark.parametrize("blocks", [LEAST - 1, LEAST])
def test_fewer_blocks_are_none(processes, blocks):
    one, _other = processes(bytes(BYTES))
    rounds(one, 3, blocks)
    assert words(one) == ["L"] * (blocks == LEAST)


def test_the_last_block_may_be_short(processes):
    one, other = processes(bytes(BYTES))
    rounds(one, SIZE - 4, 4)
    assert words(one) == ["L"]
    agree(one, other)
    other.view[BYTES - 5] = 77
    other.release()
    fill(one, 50, SIZE - 4, 4)
    one.release()
    agree(one, other)
    assert (other.view[BYTES - 5], other.view[BYTES - 4]) == (77, 50)


def test_a_reader_asks_by_a_plain_command(processes):
    one, other = processes(bytes(BYTES))
    for turn in range(1, 12):
        fill(one, turn)
        one.release()
        waits = other.session.store.waits
        other.acquire()
        assert bytes(other.view) == bytes(one.view)
        if turn > ROUNDS + 2:
            assert other.session.store.waits == waits + 1
            assert [command[0] for command in other.engine.fetch()] == ["ECHO", "HMGET"]
    # Behind what is known of the segment, one string for all blocks, and the next one if it is there already.
    assert len(other.engine.fetch()[1]) == 2 + 7 + 2


def test_of_two_that_write_side_by_side_each_has_its_own(processes):
    one, other = processes(bytes(BYTES))
    for turn in range(1, 8):
        fill(one, turn)
        fill(other, 100 + turn, WRITTEN)
        one.release()
        other.release()
        agree(one, other)
    assert words(one) == ["L", "L"]
    assert len(contents(one)) == 2


def test_what_another_writes_there_stays(processes):
    one, other = processes(bytes(BYTES))
    rounds(one)
    agree(one, other)
    other.view[BLOCK + 7] = 99
    other.release()
    assert words(one) == ["G"]
    # It does not know of that, twice.
    for turn in (70, 80):
        fill(one, turn)
        one.release()
        assert words(one) == ["G"]
    agree(one, other)
    assert (one.view[BLOCK + 7], one.view[BLOCK + 6]) == (99, 80)
    # Now it does, and what was kept for it goes.
    fill(one, 90)
    one.release()
    agree(one, other)
    assert words(one) == []
    assert not [name for name in contents(one) if name.startswith("0:") and len(name) < 4]
    assert sorted(name.partition(":")[0] for name in contents(one)) == [
        str(block) for block in range(WRITTEN)
    ]


def test_what_another_wrote_before_it_became_one_stays(processes):
    one, other = processes(bytes(BYTES))
    rounds(one, times=ROUNDS)
    other.view[BLOCK + 7] = 99
    other.release()
    # It becomes one here, and is none at the store.
    for turn in (60, 70):
        fill(one, turn)
        one.release()
        assert words(one) == ["G"]
    agree(one, other)
    assert (one.view[BLOCK + 7], one.view[BLOCK + 6]) == (99, 70)


def test_who_writes_something_else_there_has_it_taken_apart(processes):
    one, other = processes(bytes(BYTES))
    rounds(one)
    for turn in range(OFTEN + 1):
        assert words(one) == ["L"]
        one.view[BLOCK + 7] = 99 + turn
        one.release()
    assert words(one) == []
    assert contents(one) == [str(block) for block in range(WRITTEN)]
    agree(one, other)
    # It takes longer to become one again.
    rounds(one, times=ROUNDS + 1)
    assert words(one) == []
    rounds(one, times=ROUNDS)
    assert words(one) == ["L"]
    agree(one, other)


def test_all_of_it_goes_with_a_part_that_was_written(processes):
    one, other = processes(bytes(BYTES))
    rounds(one)
    agree(one, other)
    for turn in range(OFTEN + 3):
        fill(one, 30 + turn, 0, 2)
        fill(one, 60 + turn, 3, 1)
        commands = published(one)
        assert [command[0] for command in commands] == ["HMSET", "PEXPIRE", "EVALSHA"]
        other.view[(5 + turn) * BLOCK + 7] = 9
        one.session.store.call(*commands)
        other.acquire()
        assert (other.view[BLOCK], other.view[3 * BLOCK]) == (30 + turn, 60 + turn)
    assert words(one) == ["L"]
    other.release()
    agree(one, other)
    assert (one.view[5 * BLOCK + 7], one.view[3 * BLOCK]) == (9, 60 + turn)


def test_one_that_moves_stays_and_has_something_beside_it(processes):
    one, other = processes(bytes(BYTES))
    rounds(one)
    rounds(one, 1, times=2 * ROUNDS + 1)
    assert words(one) == ["L"]
    agree(one, other)
    assert sorted(name.partition(":")[0] for name in contents(one)) == ["0", str(WRITTEN)]


def test_none_crosses_a_boundary_and_many_come_in_pieces(processes, monkeypatch):
    monkeypatch.setattr(replica, "FETCH_BLOCKS", 4)
    one, other = processes(bytes(2 * MOST * BLOCK))
    rounds(one, MOST - 4, 8)
    rounds(one, 2 * MOST - 6, 6)
    assert words(one) == ["L", "L", "L"]
    agree(one, other)


@pytest.mark.parametrize("first", [True, False])
def test_what_comes_late_or_twice_overwrites_nothing(processes, first):
    one, other = processes(bytes(BYTES))
    rounds(one, times=ROUNDS if first else ROUNDS + 1)
    fill(one, 60)
    late = published(one)
    one.session.store.call(*late)
    fill(one, 70)
    one.release()
    one.session.store.call(*late)
    agree(one, other)
    assert one.view[1] == 70
    assert len(contents(one)) == 1
    other.view[BLOCK + 7] = 99
    other.release()
    fill(one, 80)
    again = published(one)
    one.session.store.call(*again)
    one.session.store.call(*again)
    one.session.store.call(*late)
    fill(one, 90)
    one.release()
    agree(one, other)
    assert (one.view[BLOCK + 7], one.view[BLOCK + 6]) == (99, 90)


def test_own_bytes_that_the_store_has_not_applied_stay(processes):
    one, other = processes(bytes(BYTES))
    rounds(one)
    agree(one, other)
    other.view[7::8] = bytes((5,)) * len(other.view[7::8])
    other.release()
    fill(one, 60)
    late = published(one)
    one.acquire()
    assert (one.view[1], one.view[7]) == (60, 5)
    one.session.store.call(*late)
    agree(one, other)
    assert (one.view[1], one.view[7]) == (60, 5)


@pytest.mark.parametrize("numpy", [False, True])
def test_what_is_written_meanwhile_stays(processes, monkeypatch, numpy):
    if numpy:
        found = pytest.importorskip("numpy")
        monkeypatch.setattr(diff, "loaded_numpy", lambda: found)
        assert bulk.WORTH <= WRITTEN
    one, other = processes(bytes(BYTES))
    rounds(one)
    agree(one, other)
    fill(one, 60)
    one.release()
    other.view[BLOCK] = 33
    other.acquire()
    assert (other.view[BLOCK], other.view[BLOCK + 1]) == (33, 60)
    other.release()
    agree(one, other)
    assert (one.view[BLOCK], one.view[BLOCK + 1]) == (33, 60)


def test_a_sparse_change_is_no_round():
    tracts, old, now = Tracts(), bytes(4 * BLOCK), b"x" * (4 * BLOCK)
    entries = [(block, "=", now[:BLOCK]) for block in range(4)]
    for _ in range(ROUNDS):
        assert tracts.seen(0, 4, entries, old, now) is entries
    assert tracts.around(0, 4) is None
    mask = b"\xff" * (BLOCK // 8)
    assert tracts.seen(0, 4, entries, old, now) == [(0, Tract(4, old, (mask,) * 4), now)]
    assert tracts.again(0, 4, old, now) == (0, Tract(4, old, ()), now)
    assert tracts.around(0, 4) == tracts.around(2, 3) == (0, 4)
    assert tracts.around(2, 5) is tracts.around(5, 6) is None
    little = bytes(4 * BLOCK - 100) + now[:100]
    for _ in range(OFTEN):
        assert tracts.again(0, 4, old, little) == (0, Tract(4, old, ()), little)
    assert tracts.left() == []
    assert tracts.again(0, 4, old, little) is None
    assert tracts.around(0, 4) == (0, 4)
    tracts.touched(3, 4)
    assert tracts.left() == [(0, LEFT, b"")]
    assert tracts.left() == []


def test_a_segment_of_many_writers_has_none(processes):
    one, other = processes(bytes(BYTES))
    one.replica.expected.writers.update(map(str, range(WRITERS + 1)))
    rounds(one, times=ROUNDS + 3)
    assert words(one) == []
    agree(one, other)


def test_what_does_not_fit_is_refused():
    assert list(held(b"0 3 7 2 w w.1.4 L;3 4 7 2 v v.1.4 G;")) == [Held(0, 3, 7, 2, "w", "w.1.4")]
    assert list(held(None)) == []
    for text in (b"0 3;", b"3 3 7 2 w w.1.4 L;", b"x 3 7 2 w w.1.4 L;", 7, b"\xff;"):
        with pytest.raises(UntrustedPayloadError, match="does not fit it"):
            list(held(text))


def test_its_own_bytes_are_nobody_elses(processes, monkeypatch):
    monkeypatch.setattr(replica, "FETCH_BLOCKS", 4)
    one, other = processes(bytes(BYTES))
    rounds(one)
    for first in range(WRITTEN, SIZE - 1):
        fill(other, 5, first, 1)
        other.release()
    fill(one, 50)
    one.release()
    # In pieces, which are asked for with what it wrote itself.
    agree(one, other)
    fill(one, 77)
    assert [command[0] for command in published(one)] == ["HMSET", "PEXPIRE", "EVALSHA"]


def test_what_lies_beside_a_tract_is_not_of_it(processes):
    one, other = processes(bytes(BYTES))
    rounds(one)
    for turn in range(3):
        fill(one, 40 + turn)
        one.view[WRITTEN * BLOCK + 3] = turn + 1
        one.release()
        assert words(one) == ["L"]
        agree(one, other)


def test_a_block_that_two_write_is_of_no_tract(processes):
    one, other = processes(bytes(BYTES))
    for turn in range(1, 9):
        fill(one, turn)
        other.view[WRITTEN * BLOCK - 1] = turn
        other.view[WRITTEN * BLOCK : (SIZE - 1) * BLOCK] = bytes((turn,)) * ((SIZE - 1 - WRITTEN) * BLOCK)
        one.release()
        other.release()
        agree(one, other)
        assert one.view[WRITTEN * BLOCK - 1] == turn
    # The last of the one, and what it writes before.
    assert words(one) == ["L", "L"]
    assert sorted(int(name.partition(":")[0]) for name in contents(one)) == [0, WRITTEN - 1, WRITTEN]
