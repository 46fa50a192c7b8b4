from __future__ import annotations

import hashlib
import os
import sys
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES

import pytest

from transparent_mp.ship import modules


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Write files under a directory that is on sys.path; importing any of them would fail."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def ask(name):
    header, body = modules.answer({"kind": "module", "name": name})
    at, found = 0, {}
    for entry in header["modules"]:
        size = entry["size"] or 0
        found[entry["name"]] = (entry, body[at : at + size])
        at += size
    assert at == len(body)
    return header, found


def test_a_module_is_found_and_not_run(tree):
    root = tree(**{"tmp_ship_a.py": "raise SystemExit"})
    _, found = ask("tmp_ship_a")
    entry, body = found["tmp_ship_a"]
    assert (entry["kind"], entry["is_package"], entry["origin"]) == (
        "source",
        False,
        str(root / "tmp_ship_a.py"),
    )
    assert body == b"raise SystemExit"
    assert "tmp_ship_a" not in sys.modules


def test_a_changed_file_is_served_as_it_is_now(tree):
    tree(**{"tmp_ship_b.py": "1"})
    ask("tmp_ship_b")
    tree(**{"tmp_ship_b.py": "22"})
    assert ask("tmp_ship_b")[1]["tmp_ship_b"][1] == b"22"


def test_a_package_comes_whole(tree):
    files = {f"tmp_ship_c/m{n}.py": str(n) for n in range(200)}
    tree(
        **{
            "tmp_ship_c/__init__.py": "boom",
            "tmp_ship_c/sub/__init__.py": "",
            "tmp_ship_c/sub/x.py": "x",
            **files,
        }
    )
    header, found = ask("tmp_ship_c")
    assert len(found) == 203
    assert found["tmp_ship_c.m7"][1] == b"7"
    assert found["tmp_ship_c.sub"][0]["is_package"]
    assert set(header["complete"]) == {"tmp_ship_c", "tmp_ship_c.sub"}
    assert ask("tmp_ship_c.sub.x")[1]["tmp_ship_c.sub.x"][1] == b"x"


def test_a_batch_is_bounded(tree, monkeypatch):
    monkeypatch.setattr(modules, "BATCH", 100)
    tree(**{"tmp_ship_d/__init__.py": "", **{f"tmp_ship_d/m{n}.py": "#" * 60 for n in range(9)}})
    header, found = ask("tmp_ship_d")
    assert len(found) == 3
    assert header["complete"] == []


def test_what_may_be_a_namespace_package_leaves_the_listing_open(tree):
    tree(**{"tmp_ship_e/__init__.py": "", "tmp_ship_e/inner/mod.py": "m"})
    header, _ = ask("tmp_ship_e")
    assert header["complete"] == []
    entry, _ = ask("tmp_ship_e.inner")[1]["tmp_ship_e.inner"]
    assert entry["kind"] == "namespace"
    assert entry["path"][0].endswith("inner")


def test_a_zipped_package(tree):
    root = tree()
    with zipfile.ZipFile(root / "z.zip", "w") as archive:
        archive.writestr("tmp_ship_f/__init__.py", "")
        archive.writestr("tmp_ship_f/mod.py", "zipped")
        archive.writestr("tmp_ship_f/data.txt", "data")
    sys.path.insert(0, str(root / "z.zip"))
    _, found = ask("tmp_ship_f")
    assert found["tmp_ship_f.mod"][1] == b"zipped"
    header, body = modules.answer({"kind": "data", "module": "tmp_ship_f", "path": "data.txt"})
    assert (header["found"], body) == (True, b"data")


def test_what_is_not_there_is_missing(tree):
    for name in ("tmp_ship_none", "tmp_ship_none.sub", "json.nothing"):
        assert ask(name)[1][name][0]["kind"] == "missing"


def test_an_extension_comes_only_when_asked_by_name(tree):
    suffix = modules.EXTENSION_SUFFIXES[0]
    root = tree(**{"tmp_ship_g/__init__.py": ""})
    (root / f"tmp_ship_g/_fast{suffix}").write_bytes(b"\x7fELF")
    header, found = ask("tmp_ship_g")
    assert found["tmp_ship_g._fast"][0]["size"] is None
    assert ask("tmp_ship_g._fast")[1]["tmp_ship_g._fast"][1] == b"\x7fELF"
    assert set(header["platform"]) == {"python", "suffix", "machine", "libc"}


def test_loaded_neighbours_of_a_script_come_along(tree, monkeypatch):
    tree(**{"tmp_ship_h.py": "", "tmp_ship_i.py": "i = 1", "tmp_ship_j.py": "j = 1"})
    __import__("tmp_ship_i")
    monkeypatch.delitem(sys.modules, "tmp_ship_i", raising=False)
    assert set(ask("tmp_ship_h")[1]) == {"tmp_ship_h"}
    __import__("tmp_ship_i")
    assert set(ask("tmp_ship_h")[1]) == {"tmp_ship_h", "tmp_ship_i"}


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "link", "sub/../../secret"])
def test_data_does_not_lead_out_of_the_package(tree, path):
    root = tree(**{"tmp_ship_k/__init__.py": "", "tmp_ship_k/sub/f": "", "secret": "s"})
    if not os.path.lexists(root / "tmp_ship_k/link"):
        os.symlink(root / "secret", root / "tmp_ship_k/link")
    header, body = modules.answer({"kind": "data", "module": "tmp_ship_k", "path": path})
    assert not header["found"]
    assert "PermissionError" in header["error"]
    assert body == b""


def test_data_and_listing(tree):
    tree(
        **{
            "tmp_ship_l/__init__.py": "",
            "tmp_ship_l/d/one.txt": "1",
            "tmp_ship_m.py": "",
            "beside.csv": "a,b",
        }
    )
    assert modules.answer({"kind": "data", "module": "tmp_ship_l", "path": "d/one.txt"})[1] == b"1"
    assert modules.answer({"kind": "data", "module": "tmp_ship_m", "path": "beside.csv"})[1] == b"a,b"
    header, _ = modules.answer({"kind": "list", "module": "tmp_ship_l", "path": ""})
    assert header["entries"] == [["__init__.py", False], ["d", True]]
    assert not modules.answer({"kind": "data", "module": "tmp_ship_l", "path": "none"})[0]["found"]


def test_source_is_that_of_loaded_modules_only(tree):
    root = tree(**{"tmp_ship_n.py": "é = 1\n", "other.txt": "x"})
    __import__("tmp_ship_n")
    header, body = modules.answer({"kind": "source", "file": str(root / "tmp_ship_n.py")})
    assert (header["found"], body.decode()) == (True, "é = 1\n")
    assert not modules.answer({"kind": "source", "file": str(root / "other.txt")})[0]["found"]


def test_nonsense_is_answered():
    assert "unknown kind" in modules.answer({"kind": "x"})[0]["error"]
    assert "KeyError" in modules.answer({"kind": "module"})[0]["error"]


def test_only_libraries_that_lie_with_the_code_are_served(tmp_path, monkeypatch):
    inside, outside = tmp_path / "code" / "libone.so", tmp_path / "elsewhere" / "libtwo.so"
    for path in (inside, outside):
        path.parent.mkdir()
        path.write_bytes(path.name.encode())
    origin = tmp_path / "code" / f"compiled_one{EXTENSION_SUFFIXES[0]}"
    origin.write_bytes(b"compiled")
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    found = {path.name: str(path) for path in (inside, outside)}
    monkeypatch.setattr(modules.elf, "bundled", lambda path: found if path == str(origin) else {})
    header, _ = modules.answer({"kind": "module", "name": "compiled_one"})
    assert header["modules"][0]["libraries"] == {"libone.so": hashlib.sha256(b"libone.so").hexdigest()}
    assert (
        modules.answer({"kind": "library", "module": "compiled_one", "library": "libone.so"})[1]
        == b"libone.so"
    )
    for name in ("libtwo.so", "libthree.so"):
        header, body = modules.answer({"kind": "library", "module": "compiled_one", "library": name})
        assert (header["found"], body) == (False, b"")
