"""Programs whose workers are invocations of the local Lambda: official runtime, sandbox, own network."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import lambda_store
import pytest
from lambda_front import BRIDGE, SANDBOX, Front, Function
from running import last_words

#: Seconds that a program may take: many times what any needs, and the end of one that hangs.
LIMIT = 120
IN_CI = os.environ.get("CI", "false") != "false"


@dataclass(frozen=True)
class Ran:
    out: str
    err: str
    status: int


@pytest.fixture(scope="session", autouse=True)
def _possible() -> None:
    """Namespaces need root, and the runtime client is a package. In CI neither is left out."""
    if not IN_CI and os.geteuid() != 0:
        pytest.skip("the sandbox makes namespaces, which needs root")
    if not IN_CI and importlib.util.find_spec("awslambdaric") is None:
        pytest.skip("awslambdaric, AWS' runtime client, is not installed (it is in the extra `dev`)")


@pytest.fixture(scope="session")
def store(_possible: None) -> Iterator[str]:
    """Address of a Redis server that environments reach, and nothing else of this host."""
    # Makes the bridge, on which it is to listen.
    subprocess.run([SANDBOX, "--net", "--", "true"], check=True, timeout=60)
    with lambda_store.store(BRIDGE) as address:
        yield address


@pytest.fixture
def front(_possible: None) -> Iterator[Callable[..., Front]]:
    """Start a local Lambda for a function of those settings; ended with the test."""
    started: list[Front] = []

    def start(**function: Any) -> Front:
        started.append(Front(Function(**function)))
        return started[-1]

    yield start
    for one in started:
        # Shown when the test has failed.
        print(one.story())
        one.close()


class Started:
    """A running program."""

    def __init__(self, command: list[str], cwd: Path, variables: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def hear(self) -> str:
        """The next line of its output."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def finish(self) -> Ran:
        try:
            out, err = self._process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the program hangs after\n{last_words(self._process)}", pytrace=False)
        return Ran(out, err, self._process.returncode)


@pytest.fixture
def start(tmp_path: Path, store: str) -> Iterator[Callable[..., Started]]:
    """Start a program on a front's function, with settings (TRANSPARENT_MP_<NAME>)."""
    started: list[Started] = []

    def start(front: Front, text: str, *args: str, **settings: str) -> Started:
        (tmp_path / "app.py").write_text(textwrap.dedent(text))
        command = [sys.executable, "-u", "-m", "transparent_mp", "app.py", *args]
        started.append(Started(command, tmp_path, front.environ(store, **settings)))
        return started[-1]

    yield start
    for one in started:
        with one._process as process:
            process.kill()


@pytest.fixture
def run(start: Callable[..., Started]) -> Callable[..., Ran]:
    """Run a program on a front's function to its end."""
    return lambda *args, **settings: start(*args, **settings).finish()
