from __future__ import annotations

import importlib.util
import os
import py_compile
import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from typing import Any

import pytest

from transparent_mp.worker.folders import FolderFinder


class Client:
    """What there is at the client, as a folder's finder asks it."""

    def modules(self, _path: str) -> list[tuple[str, bool]]:
        return [("of_the_client", True)]

    def compiled(self, name: str, content: bytes, origin: str) -> Any:
        return name, content, origin


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One of each kind of module."""
    for name in ("kit", "space", "both", "_"):
        (tmp_path / name).mkdir()
    (tmp_path / "plain.py").write_text("X = 1")
    (tmp_path / "both.py").write_text("X = 'hidden by the package'")
    (tmp_path / "both" / "__init__.py").write_text("X = 'a package'")
    (tmp_path / "kit" / "__init__.py").write_text("")
    (tmp_path / "kit" / "part.py").write_text("")
    (tmp_path / f"fast{EXTENSION_SUFFIXES[0]}").write_bytes(b"compiled")
    (tmp_path / "fast.py").write_text("X = 'hidden by the compiled one'")
    py_compile.compile(str(tmp_path / "plain.py"), str(tmp_path / "bare.pyc"))
    return tmp_path


def finder(path: Path, *, added: bool = True) -> FolderFinder:
    return FolderFinder(Client(), str(path), added=added)


@pytest.mark.parametrize(("name", "x"), [("plain", 1), ("bare", 1), ("both", "a package")])
def test_modules_are_found_as_the_import_system_finds_them(folder: Path, name: str, x: Any) -> None:
    spec = finder(folder).find_spec(name)
    assert spec is not None
    usual = FileFinder(
        str(folder),
        (ExtensionFileLoader, EXTENSION_SUFFIXES),
        (SourceFileLoader, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    )
    other = usual.find_spec(name)
    assert other is not None
    for attribute in ("name", "origin", "submodule_search_locations", "has_location", "cached", "parent"):
        assert getattr(spec, attribute) == getattr(other, attribute)
    assert type(spec.loader) is type(other.loader)
    module = importlib.util.module_from_spec(spec)
    assert spec.loader is not None
    spec.loader.exec_module(module)
    assert vars(module)["X"] == x


def test_a_compiled_module_comes_before_its_source(folder: Path) -> None:
    spec = finder(folder).find_spec("fast")
    assert spec is not None
    file = str(folder / f"fast{EXTENSION_SUFFIXES[0]}")
    assert spec.loader == ("fast", b"compiled", file)
    assert spec.origin == file


def test_a_directory_alone_is_a_portion_of_a_namespace(folder: Path) -> None:
    spec = finder(folder).find_spec("space")
    assert spec is not None
    assert (spec.loader, spec.submodule_search_locations) == (None, [str(folder / "space")])


def test_a_module_of_a_package_goes_by_its_last_name(folder: Path) -> None:
    spec = finder(folder / "kit").find_spec("kit.part")
    assert spec is not None
    assert (spec.name, spec.origin) == ("kit.part", str(folder / "kit" / "part.py"))


def test_what_is_not_there_is_not_found(folder: Path) -> None:
    assert finder(folder).find_spec("nowhere") is None
    assert finder(folder / "nowhere").find_spec("plain") is None


def test_what_the_client_has_on_its_path_is_left_to_it(folder: Path) -> None:
    assert finder(folder, added=False).find_spec("plain") is None
    assert list(finder(folder, added=False).iter_modules("a.")) == [("a.of_the_client", True)]


def test_what_was_added_is_listed(folder: Path) -> None:
    assert list(finder(folder).iter_modules()) == [
        ("bare", False), ("both", True), ("fast", False), ("kit", True), ("plain", False)
    ]  # fmt: skip


def test_a_relative_directory_is_where_the_process_stands(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    spec = finder(Path("kit")).find_spec("part")
    assert spec is not None
    assert spec.origin == str(folder / "kit" / "part.py")
    assert "part" not in sys.modules


def test_what_a_signal_handler_raises_meanwhile_is_the_programs_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(*_: Any) -> Any:
        raise TimeoutError("too late")

    monkeypatch.setattr(os, "listdir", too_late)
    with pytest.raises(TimeoutError, match="too late"):
        finder(folder).find_spec("plain")
