from __future__ import annotations

from typing import Any

import pytest

from tests.bench import report
from tests.bench.rows import BY_NAME


def found(name: str, trips: list[float], **medians: float) -> dict[str, Any]:
    target = BY_NAME[name].target
    return {
        "median": medians,
        "trips": trips,
        "own_r": None,
        "latency": 0.0,
        "target": str(target),
        "errors": {},
    }


def test_r_is_one_for_the_run() -> None:
    results = {"lock": found("lock", [0.01, 0.05], ours=0.1), "queue": found("queue", [0.06], ours=0.1)}
    assert report.raw(results) == 0.05


def test_without_the_raw_round_trip_there_is_no_r() -> None:
    assert report.raw({"lock": found("lock", [], ours=0.1)}) is None


@pytest.mark.parametrize(
    ("name", "medians", "r", "kept"),
    [
        ("lock", {"ours": 0.1}, 0.05, True),
        ("lock", {"ours": 0.101}, 0.05, False),
        ("lock", {"ours": 0.1}, None, None),
        ("lock", {"fork": 0.1}, 0.05, None),
        ("semaphore", {"ours": 0.1}, 0.05, None),
        ("map_1000", {"ours": 100.0, "fork": 100.0}, 0.05, True),
        ("map_1000", {"ours": 99.0, "fork": 100.0}, 0.05, False),
        ("map_1000", {"ours": 99.0}, 0.05, None),
        ("pipe_1MB", {"ours": 400.0}, None, True),
        ("process", {"ours": 4.1, "fork": 2.0}, 0.05, False),
        ("array_read", {"ours": 0.9, "fork": 0.4}, 0.05, True),
        ("array_read", {"ours": 0.91, "fork": 0.4}, 0.05, False),
        ("array_read", {"ours": 0.5, "fork": 0.4}, None, None),
    ],
)
def test_a_target_is_kept(name: str, medians: dict[str, float], r: float | None, kept: bool | None) -> None:
    assert report.met(BY_NAME[name], found(name, [], **medians), r) is kept


def test_targets_are_said_at_the_end_with_the_run_s_r() -> None:
    said = report.targets({"lock": found("lock", [0.05], ours=0.2, fork=1e-4)}, 0.05).splitlines()
    assert "r of this run: 50.0 us" in said[0]
    assert said[1].split()[-5:] == ["0.2", "4.0", "2", "r", "MISSED"]
