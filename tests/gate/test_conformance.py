"""CPython's own tests that must pass on every run: a chosen part of `make conformance`.

Whole classes, run once for all; each class is then a test. The yardstick says what plain Python
passes; nothing that it passes may fail here but a known difference, and no warning about an altered
environment or leaked process may appear. 3.11 is the reference; of 3.13, which must be there to be
asked, what it does differently and what leans on that. Of 3.11 once more, on workers that have
directories and a network of their own, what might lean on the client's.
"""

from __future__ import annotations

import fnmatch
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
YARDSTICK = ROOT / "tests" / "conformance"
DIFFERENCES = Path(__file__).with_name("known_differences.txt")
FURTHER_APART = Path(__file__).with_name("known_differences_net.txt")
SANDBOX = ROOT / "tests" / "sandbox"


@dataclass(frozen=True)
class Version:
    """A Python, and the classes of its tests that are chosen."""

    name: str
    classes: tuple[str, ...]
    #: What must be there to ask it.
    needs: str
    #: Whether CI cannot do without.
    wanted: bool

    @property
    def python(self) -> Path:
        return ROOT / ".conformance" / self.name / "bin" / "python"

    def baseline(self) -> dict:
        return json.loads((YARDSTICK / f"baseline-{self.name}.json").read_text())["tests"]


def named(prefix: str, *names: str) -> tuple[str, ...]:
    return tuple(prefix + name for name in names)


SPAWN = "test.test_multiprocessing_spawn.test_processes.WithProcesses"
FORK = SPAWN.replace("spawn", "fork")
FORKSERVER = SPAWN.replace("spawn", "forkserver")
FUTURES = "test.test_concurrent_futures."
V311 = Version(
    "3.11",
    (
        *named(SPAWN, "TestProcess", "TestConnection", "TestPoll", "TestLock", "TestSemaphore"),
        *named(SPAWN, "TestCondition", "TestEvent", "TestBarrier", "TestQueue", "TestPool"),
        *named(SPAWN, "TestPoolWorkerErrors", "TestPoolWorkerLifetime"),
        *named(SPAWN, "TestValue", "TestArray", "TestHeap", "TestSharedCTypes", "TestSharedMemory"),
        *named(FUTURES + "ProcessPoolSpawn", "AsCompletedTest", "ExecutorDeadlockTest"),
        *named(FUTURES + "ProcessPoolSpawn", "FailingInitializerTest", "InitializerTest"),
        *named(FUTURES + "ProcessPoolSpawn", "ProcessPoolExecutorTest", "ProcessPoolShutdownTest"),
        *named(FUTURES + "ProcessPoolSpawn", "WaitTest"),
    ),
    needs="python3.11 and apt-get",
    wanted=True,
)
V313 = Version(
    "3.13",
    (
        *named(SPAWN, "TestProcess", "TestFinalize", "TestAtExit", "TestQueue", "TestPool"),
        *named(FORK, "TestAtExit"),
        *named(FORKSERVER, "TestAtExit"),
        *named("test.test_multiprocessing_fork.test_manager.WithManager", "TestEvent", "TestMyManager"),
        *named(FUTURES + "test_deadlock.ProcessPoolSpawn", "ExecutorDeadlockTest"),
        *named(FUTURES + "test_process_pool.ProcessPoolSpawn", "ProcessPoolExecutorTest"),
        *named(FUTURES + "test_shutdown.ProcessPoolSpawn", "ProcessPoolShutdownTest"),
    ),
    needs="python3.13 with its own tests",
    wanted=False,
)
VERSIONS = (V311, V313)
#: Of V311, in the sandbox.
APART = (
    *named(SPAWN, "TestSubclassingProcess", "TestPollEintr", "TestListenerClient"),
    *named(SPAWN, "TestSharedMemory", "TestPool"),
    *named("test.test_multiprocessing_spawn.test_misc.", "TestIgnoreEINTR", "TestStartMethod"),
    *named("test.test_multiprocessing_spawn.test_manager.WithManager", "TestMyManager", "TestPool"),
    *named("test.test_multiprocessing_main_handling.", "SpawnCmdLineTest", "ForkCmdLineTest"),
)

CLASSES = [
    pytest.param(version, name, id=f"{version.name}-{name.rpartition('.')[2]}")
    for version in VERSIONS
    for name in version.classes
]


def differences(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("\t") for line in lines)


KNOWN = differences(DIFFERENCES)
KNOWN_APART = differences(FURTHER_APART)


def is_known(test: str, known: dict[str, str] = KNOWN) -> bool:
    return any(fnmatch.fnmatchcase(test, pattern) for pattern in known)


def check_there(version: Version) -> None:
    if not version.python.exists():
        why = f"needs {version.needs}: make .conformance/{version.name}/.wheel"
        if version.wanted and os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Asks what the yardstick says of a version's classes; each version is run once."""
    found = {}

    def of(version: Version) -> dict:
        check_there(version)
        if version not in found:
            place = tmp_path_factory.mktemp("conformance")
            found[version] = run(version, place, *flags("--module", version.classes))
        return found[version]

    return of


def flags(flag: str, values: tuple[str, ...]) -> list[str]:
    return [word for value in values for word in (flag, value)]


def run(version: Version, place: Path, *words: str, timeout: int = 60, apart: bool = False) -> dict:
    sandbox = f"{SANDBOX / 'sandbox'} --net --ro {version.python.parents[1]} --"
    command = [
        *((SANDBOX / "with-store",) if apart else ()),
        *(YARDSTICK / "run", "--python", version.python),
        *(("--env", f"TRANSPARENT_MP_WORKER_COMMAND={sandbox}") if apart else ()),
        *("--prefix-cmd", f"{version.python} -m transparent_mp"),
        *("--jobs", "2", "--timeout", timeout, "--logdir", place / "logs", "--tmpdir", place / "tmp"),
        *("--out", place / "results.json"),
        *words,
    ]
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=1200)
    assert (place / "results.json").exists(), ran.stdout[-2000:] + ran.stderr[-2000:]
    return json.loads((place / "results.json").read_text())


@pytest.mark.parametrize(("version", "name"), CLASSES)
def test_every_test_that_plain_python_passes(version, name, results):
    check(version, name, results(version))


@pytest.fixture(scope="module")
def results_apart(tmp_path_factory):
    check_there(V311)
    if os.geteuid() != 0 and not os.environ.get("CI"):
        pytest.skip("the sandbox makes namespaces, which needs root")
    return run(V311, tmp_path_factory.mktemp("apart"), *flags("--module", APART), apart=True)


@pytest.mark.parametrize("name", APART, ids=lambda name: ".".join(name.split(".")[-2:]))
def test_the_same_on_workers_with_a_network_of_their_own(name, results_apart):
    check(V311, name, results_apart)


def check(version: Version, name: str, found: dict) -> None:
    passing = {
        test
        for test, result in version.baseline().items()
        if test.startswith(name + ".") and result["status"] == "passed"
    }
    wanted = {test for test in passing if not is_known(test)}
    assert wanted
    missed = {
        test: (result["status"], result["reason"])
        for test in wanted
        if (result := found["tests"][test])["status"] != "passed"
    }
    assert missed == {}
    if wanted == passing:
        # A test that fails halfway leaves things behind.
        about = found["classes"][name]
        assert (about["warnings"], about["leaked"]) == ([], [])


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_known_differences_are_still_there(version, tmp_path):
    check_there(version)
    baseline = version.baseline()
    different = {test for test in baseline if is_known(test)}
    assert {baseline[test]["status"] for test in different} == {"passed"}
    if version is not V311:
        different -= V311.baseline().keys()
    (tmp_path / "ids").write_text("\n".join(different))
    modules = sorted({test.rpartition(".")[0] for test in different})
    found = run(version, tmp_path, *flags("--module", tuple(modules)), "--ids-file", str(tmp_path / "ids"))
    assert set(found["tests"]) == different
    assert [test for test in different if found["tests"][test]["status"] == "passed"] == []


@pytest.mark.usefixtures("results_apart")
def test_known_differences_of_a_network_are_still_there(tmp_path):
    different = {test for test in V311.baseline() if is_known(test, KNOWN_APART)}
    (tmp_path / "ids").write_text("\n".join(different))
    modules = sorted({test.rpartition(".")[0] for test in different})
    words = [*flags("--module", tuple(modules)), "--ids-file", str(tmp_path / "ids")]
    # Nobody dials, so what waits for a caller waits for ever.
    found = run(V311, tmp_path, *words, timeout=10, apart=True)
    assert set(found["tests"]) == different
    assert [test for test in different if found["tests"][test]["status"] == "passed"] == []


def test_every_known_difference_is_of_a_test_that_there_is():
    tests = {test for version in VERSIONS for test in version.baseline()}
    for known in (KNOWN, KNOWN_APART):
        assert [pattern for pattern in known if not fnmatch.filter(tests, pattern)] == []
        assert all(known.values())
