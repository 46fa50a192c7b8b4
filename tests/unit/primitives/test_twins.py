from __future__ import annotations

import pytest

from transparent_mp.primitives.diff import BLOCK
from transparent_mp.primitives.twins import LargeTwin, SmallTwin


@pytest.fixture(params=["small", "large"])
def pair(request):
    """Memory and its twin."""
    if request.param == "small":
        view = memoryview(bytearray(100))
        return view, SmallTwin(view)
    view = memoryview(bytearray(3 * BLOCK + 10))
    return view, LargeTwin(view, None)


def test_it_begins_as_zeros_and_tells_which_blocks_differ(pair):
    view, twin = pair
    assert (list(twin.changed()), set(twin.get(0, 1))) == ([], {0})
    view[0] = view[-1] = 1
    last = (len(view) - 1) // BLOCK
    assert list(twin.changed()) == sorted({0, last})


def test_it_tells_whether_some_blocks_are_the_same(pair):
    view, twin = pair
    blocks = -(-len(view) // BLOCK)
    assert twin.same(0, blocks)
    view[-1] = 1
    assert not twin.same(0, blocks)
    assert not twin.same(blocks - 1, blocks)
    assert blocks == 1 or twin.same(0, blocks - 1)


def test_what_is_set_is_got_and_viewed(pair):
    view, twin = pair
    first = (len(view) - 1) // BLOCK
    view[first * BLOCK] = 5
    twin.set(first, view[first * BLOCK :].tobytes())
    assert list(twin.changed()) == []
    assert twin.get(first, first + 1) == view[first * BLOCK :]
    # It is the twin itself: what is written there is exchanged.
    twin.view(first, first + 1)[0] = 6
    assert list(twin.changed()) == [first]
    assert twin.get(first, first + 1)[0] == 6


def test_only_the_stretches_are_looked_at():
    view = memoryview(bytearray(4 * BLOCK))
    view[0] = view[2 * BLOCK] = 1
    assert list(LargeTwin(view, lambda: ((2 * BLOCK, 4 * BLOCK),)).changed()) == [2]
