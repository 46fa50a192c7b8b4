"""What a process on a worker can have the client read by links made where the program's code lies."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from transparent_mp.ship import modules
from transparent_mp.ship.reading import Code
from transparent_mp.ship.roots import Roots


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The program's directory, which is a root and on sys.path; beside it what is nobody's business."""
    root = tmp_path / "project"
    (root / "tmp_read_package").mkdir(parents=True)
    (root / "tmp_read_package" / "__init__.py").write_text("")
    (root / "tmp_read_package" / "inner.py").write_text("inner = 1\n")
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "key.py").write_text("secret\n")
    (tmp_path / "private" / "__init__.py").write_text("secret\n")
    monkeypatch.syspath_prepend(str(root))
    yield root
    for name in [name for name in sys.modules if name.startswith("tmp_read_")]:
        del sys.modules[name]


@pytest.fixture
def code(project: Path) -> Code:
    return Code(Roots([str(project)]))


def refused(request: dict[str, Any], code: Code) -> bool:
    head, body = modules.answer(request, code)
    assert b"secret" not in body
    assert "secret" not in str(head)
    return "PermissionError" in head.get("error", "")


def test_a_module_that_is_a_link_out_is_refused(project: Path, code: Code) -> None:
    (project / "tmp_read_evil.py").symlink_to("../private/key.py")
    assert refused({"kind": "module", "name": "tmp_read_evil"}, code)


def test_so_is_a_package_whose_directory_is_one(project: Path, code: Code) -> None:
    (project / "tmp_read_folder").symlink_to("../private")
    assert refused({"kind": "module", "name": "tmp_read_folder"}, code)
    assert refused({"kind": "module", "name": "tmp_read_folder.key"}, code)
    assert refused({"kind": "data", "module": "tmp_read_folder", "path": "key.py"}, code)
    assert refused({"kind": "list", "module": "tmp_read_folder", "path": ""}, code)
    assert refused({"kind": "folder", "path": str(project / "tmp_read_folder")}, code)


def test_one_such_link_keeps_no_other_module_from_coming(project: Path, code: Code) -> None:
    (project / "tmp_read_package" / "evil.py").symlink_to("../../private/key.py")
    head, body = modules.answer({"kind": "module", "name": "tmp_read_package"}, code)
    assert body == b"inner = 1\n"
    (evil,) = (entry for entry in head["modules"] if entry["name"] == "tmp_read_package.evil")
    assert evil["size"] is None
    assert refused({"kind": "module", "name": "tmp_read_package.evil"}, code)


def test_the_source_of_a_module_is_not_read_through_a_link_that_took_its_place(
    project: Path, code: Code
) -> None:
    __import__("tmp_read_package.inner")
    inner = project / "tmp_read_package" / "inner.py"
    request = {"kind": "source", "file": str(inner)}
    assert modules.answer(request, code) == ({"found": True}, b"inner = 1\n")
    inner.unlink()
    inner.symlink_to("../../private/key.py")
    assert refused(request, code)
    assert refused({**request, "kind": "script"}, code)


def test_a_pipe_is_not_waited_for(project: Path, code: Code) -> None:
    __import__("tmp_read_package.inner")
    inner = project / "tmp_read_package" / "inner.py"
    inner.unlink()
    os.mkfifo(inner)
    assert refused({"kind": "source", "file": str(inner)}, code)
    assert refused({"kind": "data", "module": "tmp_read_package", "path": "inner.py"}, code)


def test_a_link_within_what_is_served_or_installed_is_followed(
    project: Path, tmp_path: Path, code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "tmp_read_alias.py").symlink_to("tmp_read_package/inner.py")
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / "there.py").write_text("there = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))
    (project / "tmp_read_there.py").symlink_to("../installed/there.py")
    for name, body in (("tmp_read_alias", b"inner = 1\n"), ("tmp_read_there", b"there = 1\n")):
        assert modules.answer({"kind": "module", "name": name}, code)[1] == body


def test_a_name_is_no_path(project: Path, code: Code) -> None:
    for name in ("../private/key", "/etc/passwd", "tmp_read_package/inner", "a\0b"):
        head, body = modules.answer({"kind": "module", "name": name}, code)
        assert (body, "ValueError" in head["error"]) == (b"", True)
