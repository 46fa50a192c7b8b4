from __future__ import annotations

import os
import signal

import pytest

from transparent_mp.primitives import untold as module
from transparent_mp.primitives.untold import SIZE, Untold

TAG, OTHER = b"t" * 16, b"u" * 16


@pytest.fixture
def left():
    return Untold()


def test_nothing_was_begun(left):
    assert left.told() == ([], [])


def test_what_was_added_is_told_in_its_order_until_it_is_cleared(left):
    left.begin(["one", "two"])
    assert left.told() == (["one", "two"], [])
    assert left.add(TAG, 0, b"first")
    assert left.add(OTHER, 7, memoryview(b""))
    assert not left.empty
    assert left.told() == (["one", "two"], [(TAG, 0, b"first"), (OTHER, 7, b"")])
    left.clear()
    assert left.empty
    assert left.told() == (["one", "two"], [])


def test_what_has_no_room_is_not_there(left):
    left.begin(["one"])
    assert left.add(TAG, 0, b"x" * (SIZE // 2))
    assert not left.add(OTHER, 0, b"x" * (SIZE // 2))
    assert [tag for tag, _, _ in left.told()[1]] == [TAG]


def test_names_without_room(left):
    with pytest.raises(ValueError, match="no room"):
        left.begin(["x" * SIZE])


def test_it_outlives_who_has_written_it(left):
    child = os.fork()
    if child == 0:
        left.begin(["one"])
        left.add(TAG, 0, b"first")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert left.told() == (["one"], [(TAG, 0, b"first")])


@pytest.mark.parametrize("content", [b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}", b"\x02\0\0\0\x20\0\0\0[]"])
def test_what_a_program_has_scribbled_names_nobody(left, content):
    left._memory[: len(content)] = content
    try:
        names, _ = left.told()
    except ValueError:
        return
    assert names == []


def test_nobody_reads_one_unless_told_so(left):
    assert module.own() is None
    module.become_own(left)
    try:
        assert module.own() is left
    finally:
        module.become_own(None)


def test_who_is_listened_to_knows_it_until_the_memory_is_another_s() -> None:
    left = Untold()
    assert not left.listened
    left.listen()
    left.begin(["name"])
    assert left.listened
    left.renew()
    assert not left.listened
    left.close()
