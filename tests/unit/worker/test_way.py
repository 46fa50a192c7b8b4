from __future__ import annotations

import types
from multiprocessing import process
from typing import Any

import pytest

from transparent_mp.worker import child, way


def is_ours(place: Any) -> bool:
    return str(getattr(place, "__module__", None) or place.__name__).startswith("transparent_mp.")


@pytest.mark.parametrize(
    ("place", "name"),
    [(place, name) for place, names in way._ON_THE_WAY for name in names.split() if is_ours(place)],
)
def test_what_is_ours_is_there(place: Any, name: str) -> None:
    assert getattr(place, name)


def test_the_standard_library_s_are_found_as_far_as_they_are_there() -> None:
    assert process.BaseProcess._bootstrap in way._FUNCTIONS  # type: ignore[attr-defined]
    assert child.run in way._FUNCTIONS
    assert all(type(function) is types.FunctionType for function in way._FUNCTIONS)


def test_what_they_use_is_found_and_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def on_the_way() -> None:
        ran.append(str(process.current_process()))

    monkeypatch.setattr(way, "_FUNCTIONS", (on_the_way,))
    # Names are not among it: to count them is no part of running it.
    assert way.used() == (on_the_way, on_the_way.__code__, process)
    assert ran == []
