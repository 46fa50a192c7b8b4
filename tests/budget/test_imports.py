"""Round trips that the import of a package costs which only the client has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

import transparent_mp

HERE = Path(__file__).parent
COUNT = 200
SUM = sum(range(COUNT))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the program has counted, on one worker, which sees none of the package's directory."""
    folder = tmp_path_factory.mktemp("client")
    for number in range(COUNT):
        part = folder / "budgeted" / f"part{number % 9}"
        part.mkdir(parents=True, exist_ok=True)
        (part / f"m{number}.py").write_text(f"n = {number}\n" + "# as long as others\n" * 40)
    for package in (folder / "budgeted", *(folder / "budgeted").iterdir()):
        (package / "__init__.py").write_text("")
    environ = {key: value for key, value in os.environ.items() if not key.startswith("TRANSPARENT_MP")}
    root = str(Path(transparent_mp.__file__).parents[1])
    environ.update(PYTHONPATH=root, TRANSPARENT_MP_LEASE="600", TRANSPARENT_MP_WORKERS="1")
    # The worker's own directory of code, empty at first.
    with tempfile.TemporaryDirectory() as empty:
        hide = f'unshare --mount sh -c \'mount -t tmpfs none {folder} && exec "$0" "$@"\''
        environ.update(TRANSPARENT_MP_WORKER_COMMAND=f"env TMPDIR={empty} {hide}")
        command = [
            sys.executable,
            "-m",
            "transparent_mp",
            str(HERE / "of_imports.py"),
            str(folder),
            str(COUNT),
        ]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return dict(json.loads(done.stdout))


pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 and os.environ.get("CI", "false") == "false", reason="a mount namespace needs root"
)


def test_the_first_import_costs_few_round_trips(found: dict[str, Any]) -> None:
    (waits, result), _, _ = found["first"]
    assert result == SUM
    assert 0 < waits <= 5


def test_a_second_process_pays_none(found: dict[str, Any]) -> None:
    (waits, result), (waits_for_nothing, missing), _ = found["second"]
    assert result == SUM
    assert (waits, waits_for_nothing, missing) == (0, 0, 3)


def test_what_is_missing_is_asked_for_once(found: dict[str, Any]) -> None:
    _, (waits, missing), _ = found["first"]
    assert missing == 3
    assert waits <= 2


def test_a_changed_source_is_never_served_stale(found: dict[str, Any]) -> None:
    assert found["changed"][0][1] == SUM + 1000
    assert found["changed back"][0][1] == SUM


def test_nor_is_one_that_changed_before_a_message(found: dict[str, Any]) -> None:
    waits, (waits_then, result), (waits_again, _) = found["changed later"]
    assert result == SUM + 2000
    assert waits <= 2
    assert 0 < waits_then <= 5
    assert waits_again == 0
