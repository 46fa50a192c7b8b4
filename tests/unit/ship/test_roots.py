from __future__ import annotations

import itertools
import os
import socket
import threading
from pathlib import Path
from typing import Callable

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
            with pytest.raises(PermissionError, match="no devices"), roots.walk(str(path)) as place:
                place.open(os.O_RDONLY)
    for path in (str(root / "file"), str(root)):
        with roots.walk(str(path)) as place:
            os.close(place.open(os.O_RDONLY))


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


def stat_through(roots: Roots, path: str, *, follow: bool, above: bool = False) -> os.stat_result:
    with roots.walk(path, follow=follow, above=above) as place:
        return os.stat(place.name, dir_fd=place.fd, follow_symlinks=False)


def outcome(look: Callable[[], os.stat_result]) -> object:
    try:
        found = look()
    except OSError as error:
        return error.errno
    return found.st_dev, found.st_ino


@pytest.mark.parametrize("follow", [True, False])
def test_a_path_leads_where_the_kernel_says(root: Path, follow: bool) -> None:
    roots = Roots([str(root)])
    (root / "dangling").symlink_to("nothing")
    (root / "circle").symlink_to("circle")
    (root / "up").symlink_to("inside/..")
    (root / "absolute").symlink_to(root / "inside")
    (root / "slashed").symlink_to("inside/")
    (root / "file-slashed").symlink_to("file/")
    (root / "inside" / "deep").touch()
    (root / "closed").mkdir(mode=0)
    parts = ["file", "inside", "deep", "in", "chain", "dangling", "circle", "up", "absolute", "slashed", "..",
             ".", "", "none", "file-slashed", "closed"]  # fmt: skip
    paths = [
        os.path.join(root, "/".join(names).lstrip("/"))
        for length in (1, 2, 3)
        for names in itertools.product(parts, repeat=length)
    ]
    for path in paths:
        if path.count("..") + path.count("up") > 1 or not roots.holds(os.path.realpath(path)):
            # It may lead out.
            continue
        # A slash behind a symlink follows it.
        whole = follow or path.endswith(("/", "/."))
        expected = outcome(lambda path=path: os.stat(path, follow_symlinks=follow))  # type: ignore[misc]
        found = outcome(lambda path=path, whole=whole: stat_through(roots, path, follow=whole))  # type: ignore[misc]
        assert found == expected, path


@pytest.mark.parametrize(
    "path",
    ["..", "../outside/secret", "../root-beside", "out", "out/secret", "secret", "in/../../outside",
     "inside/../..", "out/none", "../none", "out/none/deeper"],
)  # fmt: skip
def test_no_walk_leads_out_and_none_tells_what_is_there(root: Path, path: str) -> None:
    roots = Roots([str(root)])
    for look in (os.path.join(root, path), f"{root}/{path}/", f"{root}/inside/../{path}"):
        with pytest.raises(PermissionError, match="TRANSPARENT_MP_ROOTS"), roots.walk(look):
            pass


def test_above_a_root_a_walk_leads_to_what_it_lies_in(root: Path) -> None:
    roots = Roots([str(root)])
    for above in ("/", str(root.parent), f"{root}/.."):
        assert stat_through(roots, above, follow=True, above=True).st_ino == os.stat(above).st_ino
    with pytest.raises(PermissionError):
        stat_through(roots, str(root.parent / "outside"), follow=True, above=True)


def test_who_changes_the_way_meanwhile_does_not_lead_out(root: Path) -> None:
    roots = Roots([str(root)])
    (root / "inside" / "secret").write_text("inside")
    (root.parent / "outside" / "secret").write_text("outside")
    changing = root / "changing"
    done = threading.Event()

    def change() -> None:
        # A directory and a link that leads out, in turn, by one step each.
        (root / "dir").mkdir()
        (root / "dir" / "secret").write_text("inside")
        (root / "link").symlink_to(root.parent / "outside")
        os.rename(root / "dir", changing)
        while not done.is_set():
            os.rename(changing, root / "dir")
            os.rename(root / "link", changing)
            os.rename(changing, root / "link")
            os.rename(root / "dir", changing)

    changer = threading.Thread(target=change)
    changer.start()
    seen = set()
    try:
        for _ in range(3000):
            try:
                with roots.walk(str(changing / "secret")) as place:
                    fd = place.open(os.O_RDONLY)
            except OSError as error:
                seen.add(error.errno)
                continue
            with open(fd) as file:
                seen.add(file.read())
    finally:
        done.set()
        changer.join()
    assert "outside" not in seen
    assert "inside" in seen


def test_a_pipe_that_takes_a_files_place_is_not_waited_for(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = Roots([str(root)])
    with roots.walk(str(root / "file")) as place:
        # Between the look and the opening.
        looked = monkeypatch.setattr(of_roots.Place, "check_regular", lambda _self: looked)
        (root / "file").unlink()
        os.mkfifo(root / "file")
        with pytest.raises(PermissionError, match="no devices"):
            place.open(os.O_RDONLY)
