"""Bytes that large globals cost: what `fork` gives for nothing, and what travels once per worker."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.budget.traffic import traffic

pytest.importorskip("numpy")

SIZE = int(os.environ.get("LARGE_GLOBAL", 64_000_000))
WORKERS = 2


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return traffic("of_globals.py", SIZE, WORKERS)


def test_one_that_no_process_uses_does_not_travel(found: dict[str, Any]) -> None:
    assert found["unused"]["result"] == list(range(40))
    assert found["unused"]["in"] + found["unused"]["out"] < SIZE / 20


def test_one_that_twenty_processes_use_travels_once_per_worker(found: dict[str, Any]) -> None:
    assert found["used"]["result"] == [float(number) for number in range(40)]
    assert SIZE <= found["used"]["in"] < 1.05 * SIZE
    assert SIZE <= found["used"]["out"] < (WORKERS + 0.05) * SIZE


def test_what_a_worker_has_does_not_travel_again(found: dict[str, Any]) -> None:
    assert found["used again"]["result"] == found["used"]["result"]
    assert found["used again"]["in"] + found["used again"]["out"] < SIZE / 20


def test_each_process_finds_it_as_it_was_at_its_start(found: dict[str, Any]) -> None:
    assert found["changed"]["result"] == [0.0, 1.0, 2.0]
