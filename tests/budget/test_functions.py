"""How many Python functions an operation calls: what it costs beside its trips, without a clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import transparent_mp

#: At most; a look more at what is waited for is two of them.
MOST = {"lock": 60, "value": 90, "item": 92, "echo": 100}


@pytest.fixture(scope="module")
def found() -> dict[str, float]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("TRANSPARENT_MP")}
    root = str(Path(transparent_mp.__file__).parents[1])
    environ.update(PYTHONPATH=root, TRANSPARENT_MP_LEASE="600")
    program = Path(__file__).with_name("of_functions.py")
    command = [sys.executable, "-m", "transparent_mp", str(program)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True)
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("operation", MOST)
def test_no_more_functions_are_called_than_these(found: dict[str, float], operation: str) -> None:
    assert found[operation] <= MOST[operation], found
