from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

import transparent_mp
from transparent_mp.cli.checks import doors
from transparent_mp.cli.checks.line import Verdict

ROOT = Path(transparent_mp.__file__).resolve().parents[1]
_DOORS = [ROOT / "transparent_mp" / "door", ROOT / "sitecustomize"]
DOOR = next(folder for folder in _DOORS if folder.is_dir())


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment without our .pth file."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder


@pytest.fixture(autouse=True)
def tried(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the doors of that environment be tried, with these folders in front of where the package is."""
    monkeypatch.setattr(sys, "executable", str(bare / "bin" / "python"))

    def put(*folders: Path) -> None:
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (*folders, ROOT))))

    put()
    return put


def test_the_module_switches_on() -> None:
    line = next(doors.check())
    assert (line.verdict, line.what) == (Verdict.WELL, "python -m transparent_mp")


def test_a_sitecustomize_of_ours_switches_on_and_is_named(tried: Callable[..., None]) -> None:
    tried(DOOR)
    _, line = doors.check()
    assert line.verdict is Verdict.WELL
    assert line.found.endswith(f"by {DOOR / 'sitecustomize.py'}")


def test_a_pth_file_of_ours_switches_on_and_is_named(bare: Path) -> None:
    (packages,) = bare.glob("lib/python*/site-packages")
    file = packages / "transparent_mp.pth"
    file.write_text("import transparent_mp.intercept; transparent_mp.intercept.activate()\n")
    _, line = doors.check()
    file.unlink()
    assert line.verdict is Verdict.WELL
    assert line.found.endswith(f"by {file}")


def test_without_a_door_the_winner_is_named(tmp_path: Path, tried: Callable[..., None]) -> None:
    (tmp_path / "sitecustomize.py").touch()
    tried(tmp_path)
    _, line = doors.check()
    assert line.verdict is Verdict.DOUBTFUL
    assert f"its sitecustomize is {tmp_path / 'sitecustomize.py'}" in line.found
    assert "python -m transparent_mp" in line.remedy


def test_an_interpreter_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSPARENT_MP_WORKERS", "many")
    line = next(doors.check())
    assert line.verdict is Verdict.WRONG
    assert "TRANSPARENT_MP_WORKERS='many'" in line.found
