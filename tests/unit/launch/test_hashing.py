from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SAY = """
import os, sys
sys.path.append(sys.argv[1])
from transparent_mp.launch import hashing
os.environ["PYTHONHASHSEED"] = "42"
print(repr(hashing.seed()))
"""


@pytest.mark.parametrize(
    ("started_with", "seed"),
    [
        ({"PYTHONHASHSEED": "7"}, "7"),
        ({"PYTHONHASHSEED": "0"}, "0"),
        ({"PYTHONHASHSEED": "random"}, ""),
        ({}, ""),
    ],
)
def test_the_seed_is_the_one_that_the_interpreter_was_started_with(
    started_with: dict[str, str], seed: str
) -> None:
    environ = {"PATH": os.environ["PATH"], **started_with}
    command = [sys.executable, "-c", SAY, str(ROOT)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == repr(seed)
