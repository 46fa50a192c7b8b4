"""Programs on Lambda print what they print under plain Python; nothing of them stays behind."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from lambda_front import Front, Function, plain_environ

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = ROOT / "tests" / "contract" / "programs"
PROGRAMS = ["processes", "pools", "executors", "queues", "pipes", "locks", "managers", "memory"]


@pytest.fixture(scope="module")
def warm(_possible: None) -> Iterator[Front]:
    """One function for all programs, whose environments are used again and again."""
    front = Front(Function(memory=1769))
    yield front
    front.close()


def output(words: list[str], cwd: Path, variables: dict[str, str], limit: int = 60) -> tuple[str, str, int]:
    command = [sys.executable, *words]
    ran = subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=limit)
    return ran.stdout, ran.stderr, ran.returncode


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_prints_what_it_prints_under_plain_python(warm: Front, store: str, program: str) -> None:
    words = [program + ".py", "fork"]
    before = len(warm.invocations)
    ran = output(["-m", "transparent_mp", *words], CONTRACT, warm.environ(store))
    assert ran == output(words, CONTRACT, plain_environ())
    assert len(warm.invocations) > before


def test_the_demo_prints_what_plain_python_prints(warm: Front, store: str) -> None:
    for module in ("pandarallel", "pandas", "sklearn"):
        pytest.importorskip(module, reason="the demo's programs need the extra `demo`")
    words = ["demo.py", "--on", "lambda", "--limit", "120"]
    said, errors, status = output(words, ROOT / "examples", warm.environ(store), limit=600)
    assert (errors, status) == ("", 0), said
    assert said.count("same result") == 3


ORPHAN = """
    import ctypes, multiprocessing, os, subprocess, sys
    def shell(command):
        # Of the worker's own: what Python starts sees the client's files.
        return ctypes.CDLL(None).system(command)
    def leave_something():
        # A session of its own, as a daemon has.
        subprocess.Popen(["sleep", "1000"], start_new_session=True)
        assert shell(b"mkdir /tmp/left /tmp/left/inside") == 0
        os.environ["LEFT"] = "behind"
        sys.path.append("/left")
    def look():
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        assert shell(b"ls /tmp >/dev/fd/%d" % writer) == 0
        os.close(writer)
        there = os.read(reader, 100_000).decode()
        # Where this environment itself is shown, if the tests lie there.
        shown = sys.prefix.split("/")[2] if sys.prefix.startswith("/tmp/") else ""
        print([name for name in there.split() if not name.startswith("transparent_mp") and name != shown])
        print("LEFT" in os.environ, "/left" in sys.path, "HOME" in os.environ, flush=True)
    process = multiprocessing.Process(target={"leave": leave_something, "look": look}[sys.argv[1]])
    process.start()
    process.join()
    print(process.exitcode)
"""


def test_an_environment_is_frozen_with_nothing_of_a_session_and_begins_clean(
    front: Callable[..., Front], run: Callable[..., Any]
) -> None:
    function = front(concurrency=1)
    left = run(function, ORPHAN, "leave")
    assert (left.out, left.err) == ("0\n", "")
    seen = run(function, ORPHAN, "look")
    assert (seen.out, seen.err) == ("[]\nFalse False True\n0\n", "")
    (environment,) = function.environments
    function.invocations[-1].done.wait(60)
    # Before the first invocation was there to be seen, there may have been a freeze as well.
    for frozen in environment.frozen:
        # By their numbers, which begin anew at some point.
        modules = sorted(process.command.rpartition("-m ")[2].split()[0] for process in frozen)
        assert modules == ["awslambdaric", "transparent_mp.cli.environment"]
        assert [process.threads for process in frozen] == [1, 1]


def test_an_invocation_says_what_it_did(front: Callable[..., Front], run: Callable[..., Any]) -> None:
    function = front()
    run(function, "import multiprocessing as mp; p = mp.Process(target=print); p.start(); p.join()")
    (invocation,) = function.launches
    assert invocation.done.wait(60)
    said = json.loads(invocation.result)
    assert said["processes"] == 1
    assert 0 < said["seconds"] < 60
    assert 5 < said["peak_mb"] < 512


@pytest.mark.parametrize(("memory", "invocations"), [(1769, 4), (2 * 1769, 2)])
def test_processes_run_side_by_side_as_the_memory_gives_cpus(
    front: Callable[..., Front], run: Callable[..., Any], memory: int, invocations: int
) -> None:
    program = """
        import multiprocessing as mp
        if __name__ == "__main__":
            barrier = mp.Barrier(4)
            processes = [mp.Process(target=barrier.wait) for _ in range(4)]
            for process in processes:
                process.start()
            for process in processes:
                process.join()
            print([process.exitcode for process in processes])
    """
    function = front(memory=memory)
    assert run(function, program, WORKERS="4").out == "[0, 0, 0, 0]\n"
    assert [one.kind for one in function.asked].count("Event") == invocations


TOGETHER = """
    import multiprocessing, sys
    from concurrent.futures import ProcessPoolExecutor
    if __name__ == "__main__":
        pool = {"pool": multiprocessing.Pool, "executor": ProcessPoolExecutor}[sys.argv[1]]
        # All are there at once.
        with pool(4, initializer=multiprocessing.Barrier(4).wait) as started:
            print(sum(started.map(abs, range(100))))
"""


@pytest.mark.parametrize("memory", [1769, 2 * 1769])
@pytest.mark.parametrize("what", ["pool", "executor"])
def test_all_the_workers_of_a_pool_are_asked_for_before_the_first_has_come(
    front: Callable[..., Front], run: Callable[..., Any], what: str, memory: int
) -> None:
    function = front(together=4, memory=memory)
    ran = run(function, TOGETHER, what, WORKERS="8")
    assert (ran.out, ran.err, ran.status) == ("4950\n", "", 0)
    assert [one.kind for one in function.asked].count("Event") == 4
    served = []
    for launch in function.launches:
        assert launch.done.wait(60)
        served.append(json.loads(launch.result)["processes"])
    # Those too many have left without one.
    assert sorted(served) == ([1, 1, 1, 1] if memory == 1769 else [0, 0, 2, 2])


AS_WHOM = """
    import multiprocessing, os
    def say(depth):
        import botocore.session
        session = botocore.session.Session()
        print(depth, session.get_credentials().access_key, session.get_config_variable("region"), flush=True)
        if depth < 2:
            child = multiprocessing.Process(target=say, args=(depth + 1,))
            child.start()
            child.join()
    say(0)
"""


@pytest.mark.parametrize("by", ["profile", "environment"])
def test_processes_are_the_function_s_role_unless_the_environment_holds_credentials(
    front: Callable[..., Front], store: str, tmp_path: Path, by: str
) -> None:
    (tmp_path / "app.py").write_text(textwrap.dedent(AS_WHOM))
    (tmp_path / "config").write_text(
        "[profile dev]\nregion = us-east-1\naws_access_key_id = of-the-profile\naws_secret_access_key = x\n"
    )
    variables = {**front().environ(store), "AWS_DEFAULT_REGION": "us-east-1"}
    if by == "profile":
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
            del variables[name]
        variables.update(AWS_PROFILE="dev", AWS_CONFIG_FILE=str(tmp_path / "config"))
    ran = output(["-m", "transparent_mp", "app.py"], tmp_path, variables)
    here, there = ("of-the-profile", "of-the-function") if by == "profile" else ("of-the-user", "of-the-user")
    lines = [f"{depth} {who} us-east-1" for depth, who in enumerate((here, there, there))]
    assert ran == ("\n".join(lines) + "\n", "", 0)


HASHES = """
    import concurrent.futures, os, sys
    if sys.argv[1:]:
        # What programs do beside their other seeds; it changes nothing in this interpreter.
        os.environ["PYTHONHASHSEED"] = sys.argv[1]
    with concurrent.futures.ProcessPoolExecutor(2) as executor:
        print(set(executor.map(hash, ["abc"] * 4)) == {hash("abc")}, flush=True)
"""


def test_hashes_on_lambda_are_the_client_s(front: Callable[..., Front], store: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(textwrap.dedent(HASHES))
    function = front(concurrency=2)
    usual = function.environ(store)
    for variables, words in (
        (usual, []),
        # The same environments, begun with another seed; then that of the first again.
        ({**usual, "PYTHONHASHSEED": "7"}, []),
        ({**usual, "PYTHONHASHSEED": "0"}, ["42"]),
        (usual, ["42"]),
    ):
        ran = output(["-m", "transparent_mp", "app.py", *words], tmp_path, variables)
        assert ran == ("True\n", "", 0)
    assert len(function.environments) <= 2
