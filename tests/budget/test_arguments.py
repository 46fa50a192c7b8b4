"""Bytes that a large argument of many tasks costs: once with the first, and once more for each worker."""

from __future__ import annotations

from typing import Any

import pytest

from tests.budget.traffic import traffic

pytest.importorskip("numpy")

SIZE, TASKS, WORKERS = 4_000_000, 12, 2


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return traffic("of_arguments.py", SIZE, WORKERS)


RESULTS = {
    "pool": [1.0] * TASKS,
    "pool, bytes": [SIZE + number for number in range(TASKS)],
    "executor": [2.0] * TASKS,
}


@pytest.mark.parametrize("case", RESULTS)
def test_a_large_argument_of_many_tasks_travels_once_per_worker(case: str, found: dict[str, Any]) -> None:
    assert found[case]["result"] == RESULTS[case]
    # With the first task, and then by its digest.
    assert found[case]["in"] < 2.2 * SIZE
    assert found[case]["out"] < (1 + WORKERS + 0.2) * SIZE
