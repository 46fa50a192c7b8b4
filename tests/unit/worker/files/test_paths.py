from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from transparent_mp.originals import original
from transparent_mp.primitives import directory
from transparent_mp.worker.files import functions
from transparent_mp.worker.files.functions import Function, ours
from transparent_mp.worker.files.places import Places, own_places
from transparent_mp.worker.files.state import Files


class Os:
    """`os` as a process on a worker has it."""

    def __getattr__(self, name: str) -> Any:
        return ours(original("os", name))


os_ = Os()


@pytest.fixture
def standing(files: Files, root: Path) -> Iterator[None]:
    """The process stands in the client's directory."""
    before = os.getcwd()
    functions.stand(files, str(root))
    yield
    os.chdir(before)
    directory.stand_in_for("")


def test_a_stat_is_the_client_s_to_the_last_field(files: Files, root: Path) -> None:
    path = root / "file"
    path.write_text("content")
    os.utime(path, ns=(10**18 + 1, 10**18 + 2))
    there, here = os_.stat(str(path)), os.stat(path)
    assert there == here
    names = [name for name in dir(here) if name.startswith("st_")]
    assert [getattr(there, name) for name in names] == [getattr(here, name) for name in names]
    assert pickle.loads(pickle.dumps(there)) == here


def test_what_is_this_machine_s_own_is_not_asked_for(files: Files, remote: Any, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    assert os_.listdir(str(tmp_path / "own")) == []
    assert os_.stat("/proc/self/status").st_size == 0
    assert "lib" in os_.listdir("/usr")
    assert remote.take() == []


def test_a_path_in_what_is_its_own_is_resolved_on_this_machine(files: Files, remote: Any, root: Path) -> None:
    own = Path(files.scratch) / "package"
    own.mkdir()
    (own / "link").symlink_to("module.py")
    # The directory above it is the client's, as the home is in which an interpreter lies.
    files.places = Places([str(root.parent)], own_places([files.scratch]))
    realpath = ours(original("posixpath", "realpath"))
    assert realpath(str(own / "link")) == str(own / "module.py")
    assert realpath(os.fsencode(own / ".." / "package" / "link")) == os.fsencode(own / "module.py")
    assert remote.take() == []
    realpath(str(root / "file"))
    assert remote.take() == ["realpath"]


def test_a_walk_asks_once_or_twice_for_a_directory(files: Files, remote: Any, root: Path) -> None:
    for number in range(3):
        (root / str(number)).mkdir()
        for name in range(20):
            (root / str(number) / f"{name}.txt").touch()
    found = {}
    todo = [str(root)]
    while todo:
        with os_.scandir(todo.pop()) as entries:
            for entry in entries:
                found[entry.path] = entry.stat().st_size
                if entry.is_dir():
                    todo.append(entry.path)
    assert len(found) == 63
    assert remote.take() == ["scan"] * 4


def test_an_entry_is_what_os_says_it_is(files: Files, root: Path) -> None:
    (root / "file").touch()
    (root / "folder").mkdir()
    (root / "link").symlink_to("folder")
    (root / "dangling").symlink_to("none")
    with os.scandir(root) as own, os_.scandir(str(root)) as entries:
        expected, got = sorted(own, key=lambda e: e.name), sorted(entries, key=lambda e: e.name)
    for one, other in zip(expected, got):
        for name in ("is_dir", "is_file", "is_symlink", "inode"):
            assert getattr(one, name)() == getattr(other, name)(), (one, name)
        for name in ("is_dir", "is_file", "stat"):
            assert getattr(one, name)(follow_symlinks=False) == getattr(other, name)(follow_symlinks=False)
        assert (one.name, one.path, os.fspath(one), repr(one)) == (
            other.name,
            other.path,
            os.fspath(other),
            repr(other),
        )
    assert got[2].stat() == expected[2].stat()
    with pytest.raises(FileNotFoundError):
        got[0].stat()


def test_bytes_give_bytes(files: Files, root: Path) -> None:
    (root / os.fsdecode(b"caf\xe9")).touch()
    assert os_.listdir(os.fsencode(root)) == [b"caf\xe9"]
    assert os_.listdir(str(root)) == [os.fsdecode(b"caf\xe9")]
    assert next(os_.scandir(os.fsencode(root))).path == os.path.join(os.fsencode(root), b"caf\xe9")


def test_a_descriptor_of_a_directory_says_where(files: Files, root: Path) -> None:
    (root / "folder").mkdir()
    (root / "folder" / "file").write_text("content")
    fd = os_.open(str(root / "folder"), os.O_RDONLY)
    assert os_.listdir(fd) == ["file"]
    assert [entry.path for entry in os_.scandir(fd)] == ["file"]
    assert os_.stat("file", dir_fd=fd) == os.stat(root / "folder" / "file")
    assert os_.fstat(fd) == os_.stat(fd) == os.stat(root / "folder")
    os_.mkdir("new", dir_fd=fd)
    os_.rename("file", "renamed", src_dir_fd=fd, dst_dir_fd=fd)
    assert sorted(os.listdir(root / "folder")) == ["new", "renamed"]
    inner = os_.open("renamed", os.O_RDONLY, dir_fd=fd)
    assert os.read(inner, 9) == b"content"
    os_.close(inner)
    os_.close(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os_.listdir(fd)


@pytest.mark.usefixtures("standing")
def test_relative_paths_begin_where_the_process_stands(files: Files, root: Path) -> None:
    (root / "sub").mkdir()
    os_.chdir("sub")
    assert os_.getcwd() == str(root / "sub")
    with open_in(files, "file", "w") as file:
        file.write("content")
    assert (root / "sub" / "file").read_text() == "content"
    assert (os_.listdir(), os_.listdir("..")) == (["file"], ["sub"])
    # Nothing of it is where the process really is.
    assert os.listdir() == []
    with pytest.raises(NotADirectoryError):
        os_.chdir("file")
    os_.chdir("/usr")
    assert (os_.getcwd(), os_.path.exists("lib")) == ("/usr", True)


def open_in(_files: Files, *args: Any) -> Any:
    return ours(original("io", "open"))(*args)


@pytest.mark.usefixtures("standing")
def test_what_is_relative_to_it_and_this_machine_s_own_is_named_in_full(files: Files, root: Path) -> None:
    up = os.path.join(*[os.pardir] * len(root.parts), "proc", "self")
    assert "status" in os_.listdir(up)


def test_between_the_two_machines_nothing_is_renamed(files: Files, root: Path, tmp_path: Path) -> None:
    (tmp_path / "own").touch()
    with pytest.raises(OSError, match="cross-device") as raised:
        os_.rename(str(tmp_path / "own"), str(root / "new"))
    assert (raised.value.errno, raised.value.filename2) == (errno.EXDEV, str(root / "new"))


def test_a_new_file_s_mode_passes_the_process_s_mask(files: Files, root: Path) -> None:
    before = os_.umask(0o027)
    try:
        os_.close(os_.open(str(root / "file"), os.O_CREAT | os.O_WRONLY, 0o666))
        os_.mkdir(str(root / "folder"))
    finally:
        assert os_.umask(before) == 0o027
    assert [os.stat(root / name).st_mode & 0o777 for name in ("file", "folder")] == [0o640, 0o750]


def test_directories_above_a_root_are_there(files: Files, root: Path, tmp_path: Path) -> None:
    files.places._above.add("/somewhere/above")
    with pytest.raises(PermissionError, match="TRANSPARENT_MP_ROOTS"):
        os_.stat("/somewhere/above")
    assert os_.stat(str(tmp_path)).st_ino == os.stat(tmp_path).st_ino


def test_names_are_pickled_as_plain_python_s(files: Files) -> None:
    function = os_.remove
    assert isinstance(function, Function)
    assert function.__reduce__() == "remove"
    assert function.__module__ == "os"
