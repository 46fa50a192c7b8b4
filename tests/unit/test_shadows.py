"""Each in a fresh interpreter, with a program's directory in front."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Python 3.9 without `site` has not imported `os`, and would take the program's.
BEGIN = f"""
import sys
own = sys.path.pop(0)
import os
sys.path.insert(0, own)
sys.path.append({str(ROOT)!r})
from transparent_mp import shadows
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with a module and a package that hide, and with what does not."""
    for name in ("platform", "os", "mine", "redis"):
        (tmp_path / f"{name}.py").write_text("WHO = 'program'\n")
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "__init__.py").write_text("WHO = 'program'\n")
    (tmp_path / "json" / "decoder.py").write_text("WHO = 'program'\n")
    (tmp_path / "wave").mkdir()
    return tmp_path


def told(folder: Path, code: str) -> str:
    """What the code prints, as a script in the directory."""
    (folder / "script.py").write_text(BEGIN + code)
    done = subprocess.run(
        [sys.executable, "-S", "script.py"], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_hidden_is_what_our_code_would_not_find(folder: Path) -> None:
    # Neither what was there at the start, nor a directory, nor what we do not have.
    assert told(folder, "print(sorted(shadows.hidden(sys.path)))") == "['json', 'platform']"


def test_an_archive_hides_as_a_directory_does(folder: Path) -> None:
    with zipfile.ZipFile(folder / "app.pyz", "w") as archive:
        for name in (
            "statistics.py",
            "csv.pyc",
            "queue/__init__.py",
            "html/parser.py",
            "mine.py",
            "note.txt",
        ):
            archive.writestr(name, "")
    (folder / "broken.zip").write_text("no archive")
    code = "sys.path[:1] = ['app.pyz', 'broken.zip', 'nowhere']\n"
    assert told(folder, code + "print(sorted(shadows.hidden(sys.path)))") == "['csv', 'queue', 'statistics']"


def test_what_was_imported_from_the_library_is_hidden_by_nobody(folder: Path) -> None:
    code = "sys.path.append(sys.path.pop(0))\nimport platform\nsys.path.insert(0, sys.path.pop())\n"
    assert told(folder, code + "print(sorted(shadows.hidden(sys.path)))") == "['json']"


def test_each_side_has_its_own(folder: Path) -> None:
    code = """
import json.decoder
shadows.step_aside()
from transparent_mp import json_text
print(json_text.dumps({"a": 1}), json_text.JSONEncoder.__module__, hasattr(json, "encoder"), json.decoder.WHO)
print(sorted(name for name in sys.modules if name.partition(".")[0] in ("json", "platform")))
import platform
print(platform.WHO, sorted(shadows.names()))
"""
    assert told(folder, code).splitlines() == [
        '{"a":1} json.encoder False program',
        "['json', 'json.decoder']",
        "program ['json', 'platform']",
    ]


def test_what_was_ours_before_is_ours_still(folder: Path) -> None:
    """In a process on a worker: the program's directory comes later."""
    code = """
here = sys.path.pop(0)
import platform, json.decoder
true = json.encoder
sys.path.insert(0, here)
shadows.step_aside(["platform", "json"])
import platform, json.decoder
print(platform.WHO, json.decoder.WHO)
from transparent_mp import json_text
print(json_text.JSONEncoder is true.JSONEncoder)
"""
    assert told(folder, code).splitlines() == ["program program", "True"]


def test_what_we_unpickle_is_the_program_s(folder: Path) -> None:
    code = """
shadows.step_aside()
import json, pickle
json.Thing = type("Thing", (), {"__module__": "json"})
data = pickle.dumps(json.Thing())
from transparent_mp import json_text
load = eval("lambda data: pickle.loads(data)", {**vars(json_text), "pickle": pickle})
print(type(load(data)) is json.Thing)
"""
    assert told(folder, code) == "True"


def test_nothing_is_there_without_need(tmp_path: Path) -> None:
    code = (
        "before = list(sys.meta_path)\nshadows.step_aside()\nprint(sys.meta_path == before, shadows.names())"
    )
    assert told(tmp_path, code) == "True set()"
