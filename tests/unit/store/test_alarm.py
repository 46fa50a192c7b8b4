from __future__ import annotations

import os
import select
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from transparent_mp.store.alarm import Alarm

Lose = Callable[[Any], None]


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    alarm = Alarm()
    yield alarm
    alarm.close()


def rings(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


@pytest.mark.parametrize("asked", ["before", "after"])
def test_it_rings_at_the_end_of_a_connection_and_for_no_reply(
    alarm: Alarm, line: Any, lose: Lose, asked: str
) -> None:
    fd = alarm.fileno(None) if asked == "before" else -1
    one = line()
    alarm.follow(one)
    fd = fd if fd >= 0 else alarm.fileno(one)
    replies: list[Any] = []
    one.put([("PING",)], None, replies.append)
    assert one.link.wait(None)
    assert not rings(fd)
    lose(one)
    assert rings(fd)


def test_the_copy_that_a_child_has_of_an_ended_connection_does_not_ring(
    alarm: Alarm, line: Any, lose: Lose
) -> None:
    one = line()
    fd = alarm.fileno(one)
    for _ in range(2):
        copy = os.dup(one.fileno())
        lose(one)
        assert rings(fd)
        alarm.leave(one)
        one.renew()
        alarm.follow(one)
        assert not rings(fd)
        os.close(copy)
    lose(one)
    assert rings(fd)


def test_one_that_it_was_not_told_of_can_be_left(alarm: Alarm, line: Any) -> None:
    one = line()
    alarm.leave(one)
    assert alarm.fileno(None) >= 0
    alarm.leave(one)
