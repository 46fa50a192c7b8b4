"""Random programs on workers, whose every read is checked (`run.py`); `make property` runs thousands."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import mutants
import pytest

import transparent_mp

RUN = Path(__file__).with_name("run.py")
OURS = ("-m", "transparent_mp")
#: Mutants of each kind.
NOTICED_SOON = ("start", "exit", "join", "send", "whole blocks")


def ran(prefix: tuple[str, ...], *argv: object) -> str:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("TRANSPARENT_MP")}
    environ["PYTHONPATH"] = str(Path(transparent_mp.__file__).parents[1])
    command = [sys.executable, *prefix, str(RUN), *map(str, argv)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_plain_python_passes() -> None:
    assert "60 runs" in ran((), "--seed", 1, "--runs", 60)


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("words", [(), ("--small",)], ids=["large", "small"])
def test_programs_of_known_seeds(start: str, words: tuple[str, ...]) -> None:
    assert "40 runs" in ran(OURS, "--seed", 1, "--runs", 40, "--start", start, *words)


def test_programs_of_new_seeds() -> None:
    seed = random.SystemRandom().randrange(10**9)
    print(f"seeds from {seed}")
    assert "120 runs" in ran(OURS, "--seed", seed, "--runs", 120, "--processes", 4)


@pytest.mark.parametrize("name", NOTICED_SOON)
def test_they_notice(name: str) -> None:
    """`make mutants` has all of them."""
    assert "checker.Violation" in mutants.outcome(name)
