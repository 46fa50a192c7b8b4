from __future__ import annotations

import os
import queue
import sys
from typing import Any

import pytest

from transparent_mp.config import Config
from transparent_mp.errors import LaunchError
from transparent_mp.launch.local import LocalLauncher


@pytest.fixture
def ends() -> Any:
    return queue.Queue()


def launched(code: str, ends: Any, ticket: Any = None) -> LocalLauncher:
    """A launcher whose workers are that code, and one worker of it."""
    launcher = LocalLauncher(Config(worker_command=f"{sys.executable} -c '{code}'", workers=3))
    launcher.launch(
        "w", {"session": "5e5510e5", **(ticket or {})}, lambda worker, why: ends.put((worker, why))
    )
    return launcher


def test_its_limit_is_the_session_s_parallelism() -> None:
    assert LocalLauncher(Config(workers=3)).limit == 3


def test_a_command_that_is_not_there_is_named() -> None:
    launcher = LocalLauncher(Config(worker_command="/nowhere/at-all"))
    with pytest.raises(LaunchError, match="TRANSPARENT_MP_WORKER_COMMAND") as told:
        launcher.launch("w", {"session": "5e5510e5"}, lambda *_: None)
    assert (told.value.errno, told.value.filename) == (2, "/nowhere/at-all")


def test_the_ticket_comes_by_standard_input_only(ends: Any) -> None:
    code = "import os, sys; line = sys.stdin.readline(); secret = line.split(chr(34))[-2]; " \
        "sys.exit(line + str(secret in str(sys.argv) + str(os.environ)))"  # fmt: skip
    launcher = launched(code, ends, {"secret": "not to be seen"})
    assert ends.get(timeout=60)[1].endswith(
        'it said: {"session":"5e5510e5","secret":"not to be seen"} / False'
    )
    launcher.close()


def test_how_it_ended_is_told_with_its_last_words(ends: Any) -> None:
    launcher = launched("import sys; [print(n, file=sys.stderr) for n in range(99)]; sys.exit(7)", ends)
    worker, why = ends.get(timeout=60)
    assert worker == "w"
    assert why.startswith("its command ended with status 7; it said: 84 / 85 /")
    assert why.endswith("/ 98")
    launcher.close()


def test_closing_ends_its_input_and_waits(ends: Any) -> None:
    launcher = launched("import sys; sys.stdin.read(); sys.exit(5)", ends)
    launcher.close()
    assert ends.get(timeout=60) == ("w", "its command ended with status 5")


def test_a_forked_child_lets_go_and_ends_nobody(ends: Any) -> None:
    launcher = launched("import sys; sys.stdin.read()", ends)
    child = os.fork()
    if child == 0:
        launcher.let_go()
        launcher.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert ends.empty()
    launcher.close()
    assert ends.get(timeout=60)[0] == "w"


def test_nothing_is_kept_of_a_worker_that_has_ended(ends: Any) -> None:
    launcher = LocalLauncher(Config(worker_command=f"{sys.executable} -c 'pass'", workers=3))
    descriptors = set(os.listdir("/proc/self/fd"))
    for number in range(3):
        launcher.launch(f"w{number}", {"session": "5e5510e5"}, lambda worker, why: ends.put((worker, why)))
        assert ends.get(timeout=60)[0] == f"w{number}"
    assert set(os.listdir("/proc/self/fd")) == descriptors
    launcher.close()
