from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from transparent_mp.config import Config
from transparent_mp.errors import ConfigError
from transparent_mp.ship import roots as of_roots
from transparent_mp.ship.roots import Roots, of_client, view_of_files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    (path / "inside").mkdir(parents=True)
    (path / "file").touch()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").touch()
    (tmp_path / "root-beside").mkdir()
    (path / "out").symlink_to(tmp_path / "outside")
    (path / "secret").symlink_to("../outside/secret")
    (path / "in").symlink_to("inside")
    (path / "chain").symlink_to("in")
    return path


def refused(roots: Roots, path: object, *, follow: bool = True, above: bool = False) -> bool:
    try:
        roots.check(str(path), follow=follow, above=above)
    except PermissionError as error:
        return error.filename == str(path) and "TRANSPARENT_MP_ROOTS" in error.strerror
    return False


@pytest.mark.parametrize(
    "path", ["", "file", "inside", "inside/none/deeper", "in/none", "chain", "inside/../file"]
)
def test_what_lies_in_a_root_is_served(root: Path, path: str) -> None:
    assert not refused(Roots([str(root)]), os.path.join(root, path))


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../outside/secret",
        "../root-beside",
        "out",
        "out/secret",
        "secret",
        "in/../../outside",
        "inside/../..",
    ],
)
def test_what_leads_out_is_refused(root: Path, path: str) -> None:
    assert refused(Roots([str(root)]), os.path.join(root, path))


@pytest.mark.parametrize("path", ["relative", "", "/", "/etc/passwd", "/proc/self/environ", "/root/x\0y"])
def test_so_is_what_is_elsewhere_or_no_absolute_path(root: Path, path: str) -> None:
    assert refused(Roots([str(root)]), path)


def test_a_link_that_leads_out_may_be_removed_but_what_is_behind_it_may_not(root: Path) -> None:
    roots = Roots([str(root)])
    assert not refused(roots, root / "secret", follow=False)
    assert not refused(roots, root / "out", follow=False)
    assert refused(roots, root / "out" / "secret", follow=False)
    assert refused(roots, f"{root}/out/.", follow=False)
    assert refused(roots, f"{root}/..", follow=False)


def test_of_what_is_above_a_root_its_own_attributes_are_told(root: Path) -> None:
    roots = Roots([str(root)])
    assert not refused(roots, root.parent, above=True)
    assert not refused(roots, "/", above=True)
    assert refused(roots, root.parent / "outside", above=True)


def test_a_root_that_is_a_link_is_where_it_leads(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    roots = Roots([str(tmp_path / "link")])
    assert not refused(roots, tmp_path / "link" / "file")
    assert not refused(roots, root / "file")


def test_a_directory_that_is_not_there_is_no_root(tmp_path: Path) -> None:
    roots = Roots([str(tmp_path / "none")])
    assert roots.paths == []
    assert refused(roots, tmp_path / "none")


def test_devices_pipes_and_sockets_are_not_opened(root: Path) -> None:
    roots = Roots([str(root), "/dev"])
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        for path in (root / "fifo", root / "socket", "/dev/null"):
            with pytest.raises(PermissionError, match="no devices"):
                roots.check_regular(str(path))
    for path in (root / "file", root, root / "none"):
        roots.check_regular(str(path))


def test_the_default_is_where_the_program_is_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(of_roots.tempfile, "tempdir", None)
    found = of_client(Config())
    assert found[0] == str(tmp_path)
    assert found[-3:] == [str(tmp_path), str(tmp_path / "home"), "/dev/shm"]
    # To ask tempfile would have it keep the answer.
    assert of_roots.tempfile.tempdir is None


def test_the_setting_takes_the_default_s_place() -> None:
    assert of_client(Config(roots="/a:/b")) == ["/a", "/b"]
    assert of_client(Config(roots="none")) == []
    assert Config.from_environ({"TRANSPARENT_MP_ROOTS": "/a:/b"}).roots == "/a:/b"
    with pytest.raises(ConfigError, match="TRANSPARENT_MP_ROOTS='a:/b' must be absolute"):
        Config.from_environ({"TRANSPARENT_MP_ROOTS": "a:/b"})


def test_the_same_view_is_had_by_the_same_user_of_the_same_machine() -> None:
    assert view_of_files() == view_of_files() != []
