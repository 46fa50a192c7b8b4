"""Programs run in fresh interpreters: under plain Python, and on each kind of worker."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import pytest
from running import last_words

import transparent_mp

PACKAGE = Path(transparent_mp.__file__).resolve().parent
HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
SANDBOX = HERE.parent / "sandbox" / "sandbox"

#: Seconds that a program may take: many times what any needs, and the end of one that hangs.
LIMIT = 40


@dataclass(frozen=True)
class Ran:
    """What a program left behind."""

    out: bytes
    err: bytes
    status: int
    #: Names of the processes that workers ran.
    witnessed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Binding:
    """A launcher, and what makes its workers."""

    name: str
    settings: dict[str, str]


LOCAL = Binding("local", {})
# The package's own directory is shown where it is not installed.
IN_SANDBOX = Binding("sandbox", {"WORKER_COMMAND": f"{SANDBOX} --ro {sys.prefix} --ro {PACKAGE} --"})


BINDINGS = {binding.name: binding for binding in (LOCAL, IN_SANDBOX)}


@pytest.fixture
def binding(request: pytest.FixtureRequest) -> Binding:
    """The kind of workers of that name. The sandbox needs root; in CI it is not left out."""
    if request.param == IN_SANDBOX.name and os.geteuid() != 0 and os.environ.get("CI", "false") == "false":
        pytest.skip("the sandbox makes namespaces, which needs root")
    return BINDINGS[request.param]


def environ(**settings: str) -> dict[str, str]:
    """This environment without what Python or we would read from it."""
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("TRANSPARENT_MP", "PYTHON"))
    }
    if str(PACKAGE.parent) not in site.getsitepackages():
        clean["PYTHONPATH"] = str(PACKAGE.parent)
    return {**clean, **{f"TRANSPARENT_MP_{name}": value for name, value in settings.items()}}


def run(command: list[str], settings: dict[str, str], cwd: Path = PROGRAMS, typed: str = "") -> Ran:
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=environ(**settings),
        stdin=subprocess.PIPE if typed else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as program:
        try:
            out, err = program.communicate(typed.encode() or None, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{' '.join(command)} hangs after\n{last_words(program)}", pytrace=False)
    return Ran(out, err, program.returncode)


OnWorkers = Callable[..., Ran]


@pytest.fixture
def on_workers(tmp_path: Path) -> OnWorkers:
    """Run `python -m transparent_mp PROGRAM ARGS` on the workers of a binding; `typed`: its stdin."""

    def on_workers(
        binding: Binding, *words: str, cwd: Path = PROGRAMS, flags: tuple[str, ...] = (), typed: str = ""
    ) -> Ran:
        witness = tmp_path / "witness"
        witness.touch()
        command = [sys.executable, *flags, "-m", "transparent_mp", *words]
        ran = run(command, {**binding.settings, "WITNESS": str(witness), "WORKERS": "2"}, cwd, typed)
        lines = [line.split("\t") for line in witness.read_text().splitlines() if "\tbeside\t" not in line]
        return Ran(ran.out, ran.err, ran.status, tuple(name for _session, name, _worker, _host in lines))

    return on_workers


@pytest.fixture(scope="session")
def plain() -> Callable[..., Ran]:
    """Run a program under plain Python, once for all bindings."""
    seen: dict[tuple[str, ...], Ran] = {}

    def plain(*words: str, cwd: Path = PROGRAMS, flags: tuple[str, ...] = (), typed: str = "") -> Ran:
        key = (str(cwd), *flags, *words, typed)
        if key not in seen:
            seen[key] = run([sys.executable, *flags, *words], {}, cwd, typed)
        return seen[key]

    return plain
