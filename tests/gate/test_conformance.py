"""CPython's own tests that must pass on every run: a chosen part of `make conformance`.

Whole classes, run once for all; each class is then a test. The yardstick says what plain Python
passes; nothing that it passes may fail here, and no warning about an altered environment or leaked
process may appear.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
YARDSTICK = ROOT / "tests" / "conformance"
PYTHON = ROOT / ".conformance" / "venv" / "bin" / "python"

SPAWN = "test.test_multiprocessing_spawn.test_processes.WithProcesses"
DIFFERENCES = Path(__file__).with_name("known_differences.txt")
FUTURES = "test.test_concurrent_futures.ProcessPoolSpawn"
CLASSES = [
    *(
        SPAWN + name
        for name in (
            "TestProcess",
            "TestConnection",
            "TestPoll",
            "TestLock",
            "TestSemaphore",
            "TestCondition",
            "TestEvent",
            "TestBarrier",
            "TestQueue",
            "TestPool",
            "TestPoolWorkerErrors",
            "TestPoolWorkerLifetime",
        )
    ),
    *(
        FUTURES + name
        for name in (
            "AsCompletedTest",
            "ExecutorDeadlockTest",
            "FailingInitializerTest",
            "InitializerTest",
            "ProcessPoolExecutorTest",
            "ProcessPoolShutdownTest",
            "WaitTest",
        )
    ),
]


@pytest.fixture(scope="module")
def _environment():
    if not PYTHON.exists():
        if os.environ.get("CI"):
            pytest.fail("the yardstick's environment is missing: make .conformance/venv/.wheel")
        pytest.skip("needs python3.11 and apt-get: make .conformance/venv/.wheel")


@pytest.fixture(scope="module")
def results(_environment, tmp_path_factory):
    """What the yardstick says of every class."""
    place = tmp_path_factory.mktemp("conformance")
    same_host = (YARDSTICK / "ids-b2.txt").read_text().split()
    clean = [name for name in CLASSES if not any(test.startswith(name + ".") for test in same_host)]
    found = run(place / "clean", *flags("--module", clean))
    # A choice of tests makes the yardstick run each alone, so only where some must be left out.
    rest = [name for name in CLASSES if name not in clean]
    without = "|".join(map(re.escape, same_host))
    found["tests"].update(run(place / "rest", *flags("--module", rest), "--exclude", without)["tests"])
    return found


def flags(flag: str, values: list[str]) -> list[str]:
    return [word for value in values for word in (flag, value)]


def run(place: Path, *words: str, timeout: int = 60) -> dict:
    command = [
        *(YARDSTICK / "run", "--python", PYTHON, "--prefix-cmd", f"{PYTHON} -m transparent_mp"),
        *("--jobs", "2", "--timeout", timeout, "--logdir", place / "logs", "--tmpdir", place / "tmp"),
        *("--out", place.with_suffix(".json")),
        *words,
    ]
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=1200)
    assert place.with_suffix(".json").exists(), ran.stdout[-2000:] + ran.stderr[-2000:]
    return json.loads(place.with_suffix(".json").read_text())


@pytest.mark.parametrize("name", CLASSES, ids=lambda name: name.rpartition(".")[2])
def test_every_test_that_plain_python_passes(name, results):
    baseline = json.loads((YARDSTICK / "baseline-3.11.json").read_text())["tests"]
    same_host = set((YARDSTICK / "ids-b2.txt").read_text().split())
    wanted = {
        test
        for test, result in baseline.items()
        if test.startswith(name + ".") and result["status"] == "passed" and test not in same_host
    }
    assert wanted
    missed = {
        test: (found["status"], found["reason"])
        for test in wanted
        if (found := results["tests"][test])["status"] != "passed"
    }
    assert missed == {}
    about = results["classes"].get(name, {"warnings": [], "leaked": []})
    assert (about["warnings"], about["leaked"]) == ([], [])


@pytest.mark.usefixtures("_environment")
def test_known_differences_are_still_there(tmp_path):
    lines = [line for line in DIFFERENCES.read_text().splitlines() if not line.startswith("#")]
    why = {
        test.replace("*", method): reason
        for test, reason in (line.split("\t") for line in lines)
        for method in ("spawn", "fork", "forkserver")
    }
    assert all(why.values())
    baseline = json.loads((YARDSTICK / "baseline-3.11.json").read_text())["tests"]
    assert {baseline[test]["status"] for test in why} == {"passed"}
    (tmp_path / "ids").write_text("\n".join(why))
    modules = sorted({test.rsplit(".", 2)[0] for test in why})
    words = [*flags("--module", modules), "--ids-file", str(tmp_path / "ids")]
    found = run(tmp_path / "run", *words)["tests"]
    assert set(found) == set(why)
    assert [test for test in why if found[test]["status"] == "passed"] == []
