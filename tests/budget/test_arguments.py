"""Bytes that a large argument of many tasks costs: once with the first, and once more for each worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import transparent_mp

pytest.importorskip("numpy")

HERE = Path(__file__).parent
SIZE, TASKS, WORKERS = 4_000_000, 12, 2


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("TRANSPARENT_MP")}
    root = str(Path(transparent_mp.__file__).parents[1])
    environ.update(PYTHONPATH=root, TRANSPARENT_MP_LEASE="600", TRANSPARENT_MP_WORKERS=str(WORKERS))
    command = [sys.executable, "-m", "transparent_mp", str(HERE / "of_arguments.py"), str(SIZE)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return dict(json.loads(done.stdout))


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
