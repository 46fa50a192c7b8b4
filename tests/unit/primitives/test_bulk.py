from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transparent_mp.primitives import bulk, diff
from transparent_mp.primitives.diff import BLOCK

numpy = pytest.importorskip("numpy")

BLOCKS = 5

#: Changes: from where, how many bytes, how far apart, and what is added to each.
changes = st.lists(
    st.tuples(
        st.integers(0, BLOCKS * BLOCK - 1),
        st.sampled_from((1, 2, 8, 300, BLOCK, 2 * BLOCK)),
        st.sampled_from((1, 1, 2, 8)),
        st.integers(1, 255),
    ),
    max_size=6,
)


def changed(old, made):
    new = bytearray(old)
    for start, length, step, plus in made:
        for at in range(start, min(len(new), start + length * step), step):
            new[at] = (new[at] + plus) % 256
    return bytes(new)


def ground():
    return bytes(at * 7 % 251 for at in range(BLOCKS * BLOCK))


@settings(max_examples=60, deadline=None)
@given(changes, st.sampled_from((0, 1, BLOCK - 5)))
def test_entries_are_those_of_each_block(made, short):
    old = ground()[: BLOCKS * BLOCK - short]
    new = changed(old, made)
    expected = []
    for block in range(BLOCKS):
        was, now = (data[block * BLOCK : (block + 1) * BLOCK] for data in (old, new))
        if was != now:
            expected += diff.entries(10 + block, was, now)
    assert bulk.entries(numpy, 10, old, new) == expected


@settings(max_examples=40, deadline=None)
@given(st.one_of(st.just([]), changes), changes)
def test_a_merge_leaves_what_that_of_each_block_leaves(mine, made):
    old = ground()
    theirs = changed(old, made)
    view, twin = memoryview(bytearray(changed(old, mine))), memoryview(bytearray(old))
    expected, expected_twin = bytearray(view), b""
    for start in range(0, len(old), BLOCK):
        part = slice(start, start + BLOCK)
        expected_twin += diff.merge(memoryview(expected)[part], old[part], theirs[part])
    bulk.merge(numpy, view, twin, theirs)
    assert view == bytes(expected)
    assert twin == expected_twin == theirs


def test_counts_rows_of_any_length():
    for size in (16, 1024, 4096):
        flags = numpy.zeros((3, size), bool)
        flags[1, 5:9] = True
        flags[2] = True
        assert bulk._counts(numpy, flags) == [0, 4, size]
