from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from transparent_mp.primitives import burst


def counted(several: int) -> list[int]:
    return [burst.begun() for _ in range(several)]


def test_a_process_by_itself_is_one() -> None:
    assert counted(2) == [1, 1]


@pytest.mark.parametrize(
    ("stand_in", "owner"),
    [
        (burst.of_a_pool, SimpleNamespace(_processes=5, _pool=[1, 2])),
        (burst.of_an_executor, SimpleNamespace(_max_workers=5, _processes={1: 1, 2: 2})),
    ],
    ids=["pool", "executor"],
)
def test_those_that_are_missing_are_a_burst(stand_in: Any, owner: Any) -> None:
    def start(one: Any) -> Any:
        assert one is owner
        return counted(4)

    # Each is one less; what is beyond them is one by itself.
    assert stand_in(start)(owner) == [3, 2, 1, 1]
    assert counted(1) == [1]


def test_what_was_asked_for_all_is_not_asked_again() -> None:
    with burst.burst(3):
        assert burst.begun() == 3
        burst.asked()
        assert counted(2) == [1, 1]


def test_it_ends_with_an_error() -> None:
    def fails() -> None:
        with burst.burst(3):
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert counted(1) == [1]


def test_it_is_one_thread_s() -> None:
    found: list[int] = []
    with burst.burst(3):
        other = threading.Thread(target=lambda: found.append(burst.begun()))
        other.start()
        other.join()
    assert found == [1]


def test_one_within_another_ends_by_itself() -> None:
    with burst.burst(3):
        with burst.burst(2):
            assert counted(2) == [2, 1]
        assert counted(1) == [3]
