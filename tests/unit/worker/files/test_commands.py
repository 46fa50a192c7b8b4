from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from transparent_mp.worker.files import commands, natives
from transparent_mp.worker.files.commands import Mirror
from transparent_mp.worker.files.state import Files


@pytest.fixture
def mirror(files: Files, root: Path) -> Iterator[Mirror]:
    (root / "file").write_text("content")
    (root / "folder" / "deep").mkdir(parents=True)
    (root / "folder" / "deep" / "inner").write_text("deep")
    mirror = Mirror(files, str(root))
    yield mirror
    mirror.remove()


def test_an_absolute_path_leads_to_what_was_brought(mirror: Mirror, root: Path) -> None:
    word = mirror.word(f"{root}/file")
    assert word == f"{mirror.place}{root}/file"
    assert Path(word).read_text() == "content"
    assert mirror.word(os.fsencode(root) + b"/file") == os.fsencode(word)
    assert mirror.word(root / "file") == word


def test_a_relative_one_stays_as_it_is_and_is_there(mirror: Mirror) -> None:
    assert mirror.word("folder") == "folder"
    assert Path(mirror.stand(), "folder", "deep", "inner").read_text() == "deep"


@pytest.mark.parametrize("word", ["plain", "-l", "--all", "", "/usr/bin/env", "key=value", "a\0b"])
def test_what_names_no_path_of_the_client_stays(mirror: Mirror, word: str) -> None:
    assert mirror.word(word) == word


def test_paths_behind_options_are_found(mirror: Mirror, root: Path) -> None:
    for head in ("--output=", "-I", "-o="):
        assert mirror.word(f"{head}{root}/new") == f"{head}{mirror.place}{root}/new"


def test_a_program_that_is_not_there_keeps_its_name(mirror: Mirror, root: Path) -> None:
    assert mirror.word(f"{root}/none", must_be=True) == f"{root}/none"


def test_words_of_a_shell(mirror: Mirror, root: Path) -> None:
    said = mirror.words(f"cat '{root}/file'|wc -l >{root}/out && echo $HOME {root}/folder/*")
    here = f"{mirror.place}{root}"
    assert said == f"cat '{here}/file'|wc -l >{here}/out && echo $HOME {here}/folder/*"
    assert Path(here, "folder", "deep", "inner").exists()


def test_what_cannot_be_brought_is_not_there(mirror: Mirror, root: Path) -> None:
    (root / "folder" / "dangling").symlink_to("nowhere")
    (root / "folder" / "loop").symlink_to("loop")
    mirror.word("folder")
    assert sorted(os.listdir(Path(mirror.stand(), "folder"))) == ["deep"]
    mirror.end()
    # Nor was it removed.
    assert sorted(os.listdir(root / "folder")) == ["dangling", "deep", "loop"]


def test_without_room_nothing_is_left_out(
    mirror: Mirror, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: Any, **_kw: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(commands, "_copy", full)
    with pytest.raises(OSError, match="No space left"):
        mirror.word("folder")


def test_only_what_a_command_did_is_done_at_the_client(
    mirror: Mirror, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "other").write_text("not named")
    for word in ("file", "folder"):
        mirror.word(word)
    stands = Path(mirror.stand())
    os.utime(root / "file", ns=(1, 1))
    (stands / "folder" / "deep" / "inner").unlink()
    (stands / "folder" / "deep").rmdir()
    (stands / "new").mkdir()
    (stands / "new" / "made").write_text("made")
    (stands / "new" / "made").chmod(0o700)
    mirror.end()
    # Untouched, it was not written.
    assert (root / "file").stat().st_mtime_ns == 1
    assert sorted(os.listdir(root)) == ["file", "folder", "new", "other"]
    assert os.listdir(root / "folder") == []
    assert (root / "new" / "made").read_text() == "made"
    assert (root / "new" / "made").stat().st_mode & 0o777 == 0o700
    assert not os.path.exists(mirror.place)


def test_nothing_is_left_of_a_command_that_did_not_start(
    files: Files, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Popen(subprocess.Popen[Any]):
        _execute_child = natives.execute_child(subprocess.Popen._execute_child)  # type: ignore[attr-defined]
        _handle_exitstatus = natives.handle_exitstatus(subprocess.Popen._handle_exitstatus)  # type: ignore[attr-defined]

    with pytest.raises(FileNotFoundError) as raised:
        Popen([f"{root}/none"])
    assert raised.value.filename == f"{root}/none"
    with pytest.raises(FileNotFoundError) as raised:
        Popen(["true"], cwd=f"{root}/none")
    assert raised.value.filename == f"{root}/none"
    (root / "file").touch()
    with Popen(["rm", f"{root}/file"]) as process:
        assert process.wait() == 0
    assert not (root / "file").exists()
    assert not list(Path(files.scratch).glob("own-*"))


@pytest.mark.parametrize("where", ["stat", "open"])
def test_what_a_signal_handler_raises_meanwhile_is_the_programs_own(
    mirror: Mirror, root: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def too_late(*_: Any, **__: Any) -> Any:
        raise TimeoutError("too late")

    if where == "stat":
        monkeypatch.setattr(os, "stat", too_late)
    else:
        monkeypatch.setattr(commands, "open", too_late, raising=False)
    with pytest.raises(TimeoutError, match="too late"):
        mirror.word(f"{root}/file")
    monkeypatch.undo()
