from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transparent_mp.errors import UntrustedPayloadError
from transparent_mp.primitives import diff
from transparent_mp.primitives.diff import BLOCK

pairs = st.integers(1, 200).flatmap(
    lambda n: st.tuples(st.binary(min_size=n, max_size=n), st.binary(min_size=n, max_size=n))
)


def spread(size, step):
    """A block in which every step-th byte is changed."""
    return bytes(1 if at % step == 0 else 0 for at in range(size))


def test_few_changes_are_named_byte_by_byte():
    old, new = bytearray(100), bytearray(100)
    new[3:5] = b"ab"
    new[99] = 7
    assert diff.entries(8, bytes(old), bytes(new)) == [(8, 3, b"ab"), (8, 99, b"\7")]


def test_an_unchanged_byte_between_two_changes_is_not_named():
    assert diff.entries(0, b"aXa", b"bXb") == [(0, 0, b"b"), (0, 2, b"b")]


def test_a_block_changed_all_over_is_sent_whole():
    assert diff.entries(0, b"aaaa", b"bbbb") == [(0, "=", b"bbbb")]


def test_many_changes_are_a_block_with_a_mask():
    ((block, where, data),) = diff.entries(0, bytes(20), spread(20, 2))
    assert (block, data) == (0, spread(20, 2))
    assert where == b"m" + bytes([0b10101010, 0b10101010, 0b10100000])


@given(pairs)
def test_entries_cover_exactly_what_differs(pair):
    old, new = pair
    if old == new:
        return
    covered = [0] * len(old)
    for entry in diff.entries(0, old, new):
        for at, mark in enumerate(diff.covered(entry, len(old))):
            covered[at] |= mark
    assert covered == [255 if one != other else 0 for one, other in zip(old, new)]


@pytest.mark.parametrize("alone", [False, True])
@given(st.integers(1, 100).flatmap(lambda n: st.tuples(*[st.binary(min_size=n, max_size=n)] * 4)))
def test_merge_keeps_what_was_changed_here_and_what_is_away(alone, blocks):
    mine, twin, theirs, marks = blocks
    busy = bytes(255 if mark > 170 else 0 for mark in marks)
    memory = bytearray(mine)
    new_twin = diff.merge(memoryview(memory), twin, theirs, busy, alone)
    for at in range(len(mine)):
        if busy[at]:
            assert (memory[at], new_twin[at]) == (mine[at], twin[at])
        else:
            assert memory[at] == (theirs[at] if mine[at] == twin[at] else mine[at])
            assert new_twin[at] == theirs[at]


@pytest.mark.parametrize("numpy", [True, False])
def test_merge_of_many_changes_with_and_without_numpy(numpy, monkeypatch):
    if numpy:
        pytest.importorskip("numpy")
    else:
        monkeypatch.delitem(sys.modules, "numpy", raising=False)
    memory = bytearray(4096)
    memory[1] = 9
    diff.merge(memoryview(memory), bytes(4096), spread(4096, 2))
    expected = bytearray(spread(4096, 2))
    expected[1] = 9
    assert memory == expected


def test_numpy_is_not_imported_for_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "numpy", raising=False)
    diff.merge(memoryview(bytearray(4096)), bytes(4096), spread(4096, 2))
    assert "numpy" not in sys.modules


@pytest.mark.parametrize("size", [diff.BLOCK + 1, 3 * diff.STRIDE + 5])
def test_changed_blocks_finds_the_first_and_the_last_byte(size):
    one, other = bytearray(size), bytearray(size)
    addresses = diff.address(one), diff.address(other)
    assert list(diff.changed_blocks(*addresses, [(0, size)])) == []
    one[0] = one[size - 1] = 1
    assert list(diff.changed_blocks(*addresses, [(0, size)])) == [0, (size - 1) // diff.BLOCK]


def test_changed_blocks_looks_into_its_stretches_only():
    mine, twin = bytearray(5 * diff.BLOCK), bytearray(5 * diff.BLOCK)
    addresses = diff.address(mine), diff.address(twin)
    for block in range(5):
        mine[block * diff.BLOCK] = 1
    stretches = [(diff.BLOCK, 2 * diff.BLOCK), (4 * diff.BLOCK, 5 * diff.BLOCK)]
    assert list(diff.changed_blocks(*addresses, stretches)) == [1, 4]
    assert list(diff.changed_blocks(*addresses, [])) == []


@pytest.mark.parametrize(
    "answer",
    [
        [-1, b"x"],
        [2, b"x"],
        [2, None],
        [0, b"x" * (BLOCK + 101)],
        [1, b"x" * 101],
        ["0", b"x"],
        [0, "x"],
        [0, 1],
        [0, b"x", 5, None],
    ],
)
def test_blocks_that_do_not_fit_a_segment_are_refused(answer):
    diff.check([0, b"x" * BLOCK, 1, b"x" * 100, 1, None], BLOCK + 100)
    diff.check([0, None], 0)
    with pytest.raises(UntrustedPayloadError, match="does not fit it"):
        diff.check(answer, BLOCK + 100)
