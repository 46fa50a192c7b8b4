from __future__ import annotations

import importlib.machinery
import os
import tempfile
from pathlib import Path

import pytest

from transparent_mp.worker import pantry
from transparent_mp.worker.pantry import Pantry


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"transparent_mp-code-{os.getuid()}"


def test_what_is_put_is_there_for_the_next(place: Path) -> None:
    Pantry().put("name", b"content")
    assert Pantry().get("name") == b"content"
    assert Pantry().get("other") is None
    assert place.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in place.iterdir()] == ["name"]


def test_code_is_compiled_once_for_a_source_and_its_place(place: Path) -> None:
    made = []

    def compiled() -> object:
        made.append(1)
        return compile("x = 1", "f.py", "exec")

    first = Pantry().code("d", "f.py", compiled)
    assert Pantry().code("d", "f.py", compiled) == first
    assert made == [1]
    Pantry().code("other", "f.py", compiled)
    Pantry().code("d", "g.py", compiled)
    assert made == [1, 1, 1]
    for path in place.iterdir():
        path.write_bytes(b"torn")
    assert Pantry().code("d", "f.py", compiled) == first


def test_a_directory_that_others_may_write_is_not_used(place: Path) -> None:
    place.mkdir(mode=0o700)
    place.chmod(0o770)
    pantry_ = Pantry()
    pantry_.put("name", b"content")
    assert (pantry_.place, pantry_.get("name")) == ("", None)


def test_without_a_place_everything_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    made: list[object] = []
    kept = Pantry()
    for _ in range(2):
        kept.code("d", "f.py", lambda: made.append(1) or compile("1", "f", "exec"))
    assert made == [1, 1]
    kept.trim()


@pytest.mark.usefixtures("place")
def test_a_compiled_module_has_its_own_name() -> None:
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    kept = Pantry()
    path = kept.native(memoryview(b"elf"), f"mod{suffix}")
    assert os.path.basename(path) == f"mod{suffix}"
    assert Path(path).read_bytes() == b"elf"
    assert kept.native(b"elf", f"mod{suffix}") == path


def test_the_oldest_goes_when_there_is_too_much(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pantry, "SIZE", 25)
    kept = Pantry()
    for age, name in ((300, "old"), (200, "middle"), (100, "new")):
        kept.put(name, b"x" * 10)
        os.utime(place / name, (age * -1 + 1e9, age * -1 + 1e9))
    kept.trim()
    assert sorted(path.name for path in place.iterdir()) == ["middle", "new"]
