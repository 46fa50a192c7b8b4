"""Bytes that large globals cost: what `fork` gives for nothing, and what travels once per worker."""

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
SIZE = int(os.environ.get("LARGE_GLOBAL", 64_000_000))
WORKERS = 2


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("TRANSPARENT_MP")}
    root = str(Path(transparent_mp.__file__).parents[1])
    environ.update(PYTHONPATH=root, TRANSPARENT_MP_LEASE="600", TRANSPARENT_MP_WORKERS=str(WORKERS))
    command = [sys.executable, "-m", "transparent_mp", str(HERE / "of_globals.py"), str(SIZE)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return dict(json.loads(done.stdout))


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
