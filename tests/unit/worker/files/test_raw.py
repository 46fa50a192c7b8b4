from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from transparent_mp.worker.files.raw import file_io
from transparent_mp.worker.files.state import Files

FileIO = file_io(io.FileIO)


class Derived(FileIO):  # type: ignore[misc]
    """A program's own."""


def test_what_it_writes_and_reads_is_the_clients(files: Files, remote: Any, root: Path) -> None:
    path = root / "f"
    with io.BufferedWriter(FileIO(str(path), "w")) as file:
        file.write(b"some")
    assert path.read_bytes() == b"some"
    with FileIO(path, "a+b") as file:
        file.write(b" more")
        file.seek(0)
        assert file.read() == path.read_bytes() == b"some more"
    assert remote.take()
    with pytest.raises(FileExistsError):
        FileIO(str(path), mode="x")
    with pytest.raises(FileNotFoundError):
        FileIO(str(root / "none"))


def test_what_is_the_workers_is_of_the_real_type(files: Files, tmp_path: Path, remote: Any) -> None:
    remote.take()
    reader, writer = os.pipe()
    with FileIO(writer, "w") as file, FileIO(reader) as other:
        assert type(file) is type(other) is io.FileIO
        file.write(b"x")
        assert other.read(1) == b"x"
    (tmp_path / "here").write_bytes(b"here")
    with Derived(tmp_path / "here") as derived:
        assert derived.read() == b"here"
    assert remote.take() == []


def test_it_is_what_all_raw_files_are(files: Files, root: Path) -> None:
    (root / "f").touch()
    with FileIO(root / "f") as ours, open(os.devnull, "rb", 0) as real, Derived(os.devnull) as derived:
        assert all(isinstance(one, FileIO) for one in (ours, real, derived))
        assert not isinstance(real, Derived)
    assert issubclass(io.FileIO, FileIO)
    assert issubclass(FileIO, io.RawIOBase)


@pytest.mark.parametrize("mode", ["t", "rt", "rw", ""])
def test_a_mode_that_makes_no_sense_is_refused_as_ever(files: Files, root: Path, mode: str) -> None:
    with pytest.raises(ValueError, match=r"mode"):
        FileIO(root / "f", mode)
