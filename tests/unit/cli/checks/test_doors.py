from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import transparent_mp
from transparent_mp.cli.checks import doors
from transparent_mp.cli.checks.line import Verdict

ROOT = Path(transparent_mp.__file__).resolve().parents[1]
INSTALLED = any((Path(place) / "transparent_mp.pth").exists() for place in sys.path)


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "" if INSTALLED else str(ROOT))


def test_the_module_switches_on() -> None:
    line = next(doors.check())
    assert (line.verdict, line.what) == (Verdict.WELL, "python -m transparent_mp")


def test_the_variable_switches_on_where_a_door_is_and_the_door_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not INSTALLED:
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT / "sitecustomize"), str(ROOT))))
    _, line = doors.check()
    assert line.verdict is Verdict.WELL
    assert ("transparent_mp.pth" if INSTALLED else "sitecustomize.py") in line.found


@pytest.mark.skipif(INSTALLED, reason="the installed wheel's door cannot be closed")
def test_without_a_door_the_winner_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").touch()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), str(ROOT))))
    _, line = doors.check()
    assert line.verdict is Verdict.DOUBTFUL
    assert f"its sitecustomize is {tmp_path / 'sitecustomize.py'}" in line.found
    assert "python -m transparent_mp" in line.remedy


def test_an_interpreter_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSPARENT_MP_WORKERS", "many")
    line = next(doors.check())
    assert line.verdict is Verdict.WRONG
    assert "TRANSPARENT_MP_WORKERS='many'" in line.found
