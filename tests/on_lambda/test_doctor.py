"""What a function says to the doctor, by the official runtime."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from lambda_front import BRIDGE, Front

from transparent_mp.cli.checks import amazon
from transparent_mp.cli.checks.line import Line, Verdict
from transparent_mp.config import Config
from transparent_mp.launch.clients import Clients


@pytest.fixture
def probe(
    front: Callable[..., Front], store: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[Line]]:
    """The lines about a function with those settings."""

    def lines(url: str = store, **function: Any) -> list[Line]:
        there = front(**function)
        for name, value in there.environ(store).items():
            if name.startswith("AWS_"):
                monkeypatch.setenv(name, value)
        return list(amazon.probe(Config(redis_url=url), there.function.name, Clients()("lambda")))

    return lines


def test_a_function_is_well(probe: Callable[..., list[Line]]) -> None:
    lines = probe()
    assert {line.verdict for line in lines} == {Verdict.WELL}, lines
    subjects = [line.what.partition(" a worker")[0] for line in lines]
    assert subjects == ["a worker (an invocation)", "Python of", "packages of", "Redis from"]


def test_a_store_that_it_cannot_reach_is_said_with_the_remedy(probe: Callable[..., list[Line]]) -> None:
    (line,) = [line for line in probe(f"redis://{BRIDGE}:9") if line.verdict is Verdict.WRONG]
    assert "Connection refused" in line.found
    assert "--security-groups" in line.remedy


def test_a_function_of_another_kind_is_said(probe: Callable[..., list[Line]]) -> None:
    (line,) = probe(handler="platform.python_implementation")
    assert line.verdict is Verdict.WRONG
    assert "transparent-mp deploy" in line.remedy
