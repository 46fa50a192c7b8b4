from __future__ import annotations

import io
import mmap
import os
import time
from pathlib import Path
from typing import Any

import pytest

from transparent_mp.ship import files as of_files
from transparent_mp.worker.files import copies, functions, mapping, opening
from transparent_mp.worker.files.functions import ours
from transparent_mp.worker.files.opening import open_fd, open_file
from transparent_mp.worker.files.state import Files


def old(path: Path, content: bytes) -> Path:
    """A file that was written a while ago."""
    path.write_bytes(content)
    time.sleep(of_files.FRESH / 1e9)
    return path


def test_a_file_that_has_not_changed_costs_one_question_and_no_bytes(
    files: Files, remote: Any, root: Path
) -> None:
    path = str(old(root / "file", b"content"))
    for _ in range(3):
        with open_file(path) as file:
            assert file.read() == "content"
        assert remote.take() == ["open"]
    assert len(files.table) == 0
    assert len(list(Path(files.scratch, "files").glob("v-*"))) == 1


def test_one_that_has_changed_is_read_anew(files: Files, root: Path) -> None:
    path = root / "file"
    for number in range(5):
        path.write_text(str(number))
        with open_file(path) as file:
            assert file.read() == str(number)
    # What nobody will ask for again does not stay.
    assert len(list(Path(files.scratch, "files").glob("v-*"))) == 1


def test_what_is_open_stays_what_it_was(files: Files, root: Path) -> None:
    path = old(root / "file", b"first")
    with open_file(path, "rb") as file:
        path.unlink()
        path.write_bytes(b"second")
        with open_file(path, "rb") as other:
            assert (file.read(), other.read()) == (b"first", b"second")


def test_only_what_is_read_of_a_large_file_travels(files: Files, remote: Any, root: Path) -> None:
    path = root / "file"
    path.write_bytes(b"".join(bytes([number]) * copies.CHUNK for number in range(20)))
    time.sleep(of_files.FRESH / 1e9)
    with open_file(path, "rb") as file:
        assert remote.take() == ["open"]
        file.seek(5 * copies.CHUNK - 10)
        assert file.read(20) == b"\4" * 10 + b"\5" * 10
        assert remote.take() == ["read"]
        assert file.read(100) == b"\5" * 100
        assert remote.take() == []
        # From one end to the other, in runs.
        file.seek(0)
        assert len(file.read()) == 20 * copies.CHUNK
        assert 3 <= len(remote.take()) <= 8
    with open_file(path, "rb") as file:
        assert file.fileno() > 0
        assert remote.take() == ["open"]
        assert file.read(1) == b"\0"


def test_who_takes_the_descriptor_has_all_of_it(files: Files, root: Path) -> None:
    content = os.urandom(3 * copies.CHUNK + 17)
    path = old(root / "file", content)
    with open_file(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert mapped[:] == content
    path.touch()
    fd = ours(os.open)(path, os.O_RDONLY)
    assert os.pread(fd, len(content), 0) == content
    ours(os.close)(fd)


def test_a_large_file_that_is_written_meanwhile_does_not_come_to_others(files: Files, root: Path) -> None:
    path = old(root / "file", b"a" * 4 * copies.CHUNK)
    with open_file(path, "rb") as file:
        assert file.read(1) == b"a"
        with open(path, "r+b") as writer:
            writer.write(b"b" * 4 * copies.CHUNK)
        file.seek(3 * copies.CHUNK)
        assert file.read(1) == b"b"
        with open_file(path, "rb") as other:
            assert other.read() == b"b" * 4 * copies.CHUNK


def test_what_is_written_is_there_when_it_is_flushed_and_costs_two_questions(
    files: Files, remote: Any, root: Path
) -> None:
    path = root / "file"
    with open_file(path, "w") as file:
        assert (path.exists(), file.name, file.mode) == (True, path.name and str(path), "w")
        file.write("text")
        file.flush()
        assert path.read_text() == "text"
        file.write(" and more")
    assert path.read_text() == "text and more"
    assert remote.take() == ["open", "close"]


def test_c_code_that_writes_to_the_descriptor_is_found_at_the_end(files: Files, root: Path) -> None:
    path = root / "file"
    with open_file(path, "wb") as file:
        file.write(b"ours ")
        file.flush()
        os.write(os.dup(file.fileno()), b"foreign")
        file.seek(0, 2)
        file.write(b" ours")
    assert path.read_bytes() == b"ours foreign ours"


def test_writers_of_different_bytes_do_not_undo_each_other(files: Files, root: Path) -> None:
    path = root / "file"
    path.write_bytes(b"." * 200_000)
    one, other = (open_file(path, "r+b") for _ in range(2))
    os.pwrite(one.fileno(), b"one", 100_000)
    os.pwrite(one.fileno(), b"1", 100_006)
    os.pwrite(other.fileno(), b"two", 100_003)
    os.pwrite(other.fileno(), b"2", 199_999)
    one.close()
    other.close()
    content = path.read_bytes()
    assert (content[99_998:100_008], content[-2:], len(content)) == (b"..onetwo1.", b".2", 200_000)


def test_a_mapping_s_bytes_are_there_when_it_is_flushed(files: Files, root: Path) -> None:
    path = root / "file"
    path.write_bytes(b"." * 10_000)
    mapped_class = mapping.mapping(mmap.mmap)
    with open_file(path, "r+b") as file:
        mapped = mapped_class(file.fileno(), 0)
    mapped[5000:5004] = b"here"
    mapped.flush()
    assert path.read_bytes()[4999:5005] == b".here."
    mapped[0:1] = b"H"
    mapped.close()
    assert path.read_bytes()[:2] == b"H."
    assert len(files.table) == 0


def test_an_append_is_one_wherever_the_end_is_by_then(files: Files, root: Path) -> None:
    path = root / "file"
    path.write_text("first\n")
    with open_file(path, "a") as file:
        assert file.tell() == 6
        with open(path, "a") as other:
            other.write("between\n")
        file.write("last\n")
    assert path.read_text() == "first\nbetween\nlast\n"


def test_a_file_that_is_collected_is_closed(files: Files, root: Path) -> None:
    path = root / "file"
    held = [open_file(path, "w")]
    held[0].write("left")
    with pytest.warns(ResourceWarning, match="unclosed file"):
        held.clear()
    assert path.read_text() == "left"
    assert len(files.table) == 0


def test_what_is_left_open_is_sent_at_the_end_of_the_process(files: Files, root: Path) -> None:
    fd = ours(os.open)(str(root / "file"), os.O_RDWR | os.O_CREAT)
    os.write(fd, b"by another way")
    files.table.finish_all()
    assert (root / "file").read_bytes() == b"by another way"
    assert len(files.table) == 0
    os.close(fd)


def test_a_number_that_is_another_file_by_now_is_not_taken_for_ours(
    files: Files, root: Path, tmp_path: Path
) -> None:
    fd = ours(os.open)(str(root / "file"), os.O_WRONLY | os.O_CREAT)
    os.close(fd)
    own = os.open(tmp_path / "own", os.O_WRONLY | os.O_CREAT)
    assert own == fd
    assert ours(os.write)(own, b"own") == 3
    ours(os.close)(own)
    assert ((tmp_path / "own").read_bytes(), (root / "file").read_bytes()) == (b"own", b"")


def test_no_descriptor_and_no_file_is_left(files: Files, root: Path) -> None:
    def work() -> None:
        (root / "file").write_bytes(b"x" * 2 * copies.CHUNK)
        for mode in ("rb", "r+b", "wb", "ab", "w+b", "a+b"):
            with open_file(root / "file", mode) as file:
                if "r" in mode:
                    file.read(10)
                else:
                    file.write(b"x")
        with pytest.raises(FileNotFoundError):
            open_file(root / "none" / "file", "w")
        with pytest.raises(ValueError, match="exactly one of"):
            open_file(root / "file", "rx")
        with pytest.raises(LookupError):
            open_file(root / "file", encoding="no such")

    work()
    before = os.listdir("/proc/self/fd")
    work()
    assert len(os.listdir("/proc/self/fd")) == len(before)
    assert not list(Path(files.scratch).glob("own-*"))


def test_the_layers_are_the_standard_library_s(files: Files, root: Path) -> None:
    (root / "file").write_text("x")
    for mode, kind in (
        ("r", io.TextIOWrapper), ("rb", io.BufferedReader),
        ("wb", io.BufferedWriter), ("r+b", io.BufferedRandom),
    ):  # fmt: skip
        with open_file(root / "file", mode) as file:
            assert type(file) is kind
    with open_file(root / "file", "rb", buffering=0) as file:
        assert isinstance(file, io.FileIO)


def test_a_file_without_a_name_is_this_machine_s(files: Files, remote: Any, root: Path) -> None:
    fd = ours(os.open)(str(root), os.O_TMPFILE | os.O_RDWR)
    assert remote.take() == []
    os.close(fd)


def test_copies_give_way_when_there_is_no_room(
    files: Files, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old(root / "first", b"first")
    old(root / "second", b"second")
    with open_file(root / "first", "rb") as first:
        full = iter([OSError(28, "No space left on device")])
        write_all = copies.write_all

        def write(*args: Any) -> None:
            for error in full:
                raise error
            write_all(*args)

        monkeypatch.setattr(copies, "write_all", write)
        with open_file(root / "second", "rb") as second:
            assert (first.read(), second.read()) == (b"first", b"second")
    assert len(list(Path(files.scratch, "files").glob("v-*"))) == 1


def test_a_copy_that_goes_while_it_is_opened_is_had_again(
    files: Files, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old(root / "file", b"content")
    with open_file(root / "file"):
        pass
    opened = copies.Copies.open
    times = iter([True])

    def open_copy(self: copies.Copies, version: str, *args: Any) -> Any:
        if next(times, False):
            self.forget(version)
        return opened(self, version, *args)

    monkeypatch.setattr(copies.Copies, "open", open_copy)
    with open_file(root / "file") as file:
        assert file.read() == "content"


def test_functions_stand_where_the_originals_stood() -> None:
    class Accessor:
        stat = ours(os.stat)

    assert Accessor().stat("/").st_ino == os.stat("/").st_ino
    assert ours(os.stat) in os.supports_follow_symlinks
    assert ours(os.open) in os.supports_dir_fd
    assert ours(len) is len
    assert ours([]) == []
    assert isinstance(ours(staticmethod(os.scandir)), staticmethod)
    assert functions.ours(os.stat).__name__ == "stat"
    assert opening.TRIES > 1


def too_late(*_: Any, **__: Any) -> Any:
    """As a signal handler of the program does in the middle of a wait."""
    raise TimeoutError("too late")


def test_what_a_signal_handler_raises_meanwhile_is_the_programs_own(
    files: Files, root: Path, remote: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = root / "file"
    path.write_bytes(bytes(20 * copies.CHUNK))
    time.sleep(of_files.FRESH / 1e9)
    with open_file(path, "rb") as file:
        file.seek(5 * copies.CHUNK)
        monkeypatch.setattr(remote, "ask", too_late)
        with pytest.raises(TimeoutError, match="too late"):
            file.read(1)
        monkeypatch.undo()
    monkeypatch.setattr(opening._Opened, "_fetch", too_late)
    with pytest.raises(TimeoutError, match="too late"):
        open_fd(files, str(path), str(path), os.O_RDONLY)
