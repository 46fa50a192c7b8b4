from __future__ import annotations

from transparent_mp.launch.deployment.plan import Step, changes


def test_a_step_shows_what_it_does_and_details_below() -> None:
    step = Step("update", "function f", ("memory: 1 -> 2",), lambda: None)
    assert step.lines() == ["~ update function f", "    memory: 1 -> 2"]


def test_only_what_differs_is_a_change() -> None:
    assert changes({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 3, "d": 4}) == ["b: 2 -> 3", "d: 4"]
