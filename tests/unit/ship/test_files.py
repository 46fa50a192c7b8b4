from __future__ import annotations

import errno
import fcntl
import os
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from transparent_mp.ship import files as of_files
from transparent_mp.ship.files import INLINE, FileServer
from transparent_mp.ship.roots import Roots


class Asker:
    def __init__(self, server: FileServer) -> None:
        self._server = server

    def __call__(self, op: str, data: bytes = b"", **fields: Any) -> tuple[dict[str, Any], bytes]:
        return self._server.answer({"op": op, **fields}, memoryview(data))

    def open(
        self, path: object, flags: int = os.O_RDONLY, h: str = "h", **fields: Any
    ) -> tuple[dict[str, Any], bytes]:
        fields = {"mode": 0o644, "have": "", "whole": False, "pid": 1, **fields}
        return self("open", path=str(path), flags=flags, h=h, **fields)

    def call(self, name: str, *paths: object, follow: bool = True, **with_: Any) -> dict[str, Any]:
        return self("call", name=name, paths=[str(path) for path in paths], follow=follow, **{"with": with_})[
            0
        ]


@pytest.fixture
def server(tmp_path: Path) -> FileServer:
    return FileServer(Roots([str(tmp_path)]))


@pytest.fixture
def ask(server: FileServer) -> Asker:
    return Asker(server)


def old(path: Path, content: bytes) -> Path:
    """A file that was written a while ago."""
    path.write_bytes(content)
    found = os.stat(path)
    while time.time_ns() - found.st_ctime_ns < of_files.FRESH:
        time.sleep(of_files.FRESH / 1e9)
    return path


def test_a_small_file_comes_with_the_answer_and_not_again(ask: Asker, tmp_path: Path) -> None:
    path = old(tmp_path / "file", b"content")
    head, body = ask.open(path)
    assert (body, head["kept"], head["stat"][6]) == (b"content", False, 7)
    again, body = ask.open(path, have=head["version"], whole=True)
    assert (body, again["version"]) == (b"", head["version"])


def test_another_content_is_another_version_however_soon(ask: Asker, tmp_path: Path) -> None:
    path = tmp_path / "file"
    seen = set()
    for number in range(20):
        path.write_bytes(b"%02d" % number)
        head, body = ask.open(path)
        assert body == b"%02d" % number
        seen.add(head["version"])
    assert len(seen) == 20


def test_a_large_file_is_read_in_parts_and_its_change_is_noticed(ask: Asker, tmp_path: Path) -> None:
    path = old(tmp_path / "file", b"a" * INLINE + b"bc")
    head, body = ask.open(path)
    assert (body, head["kept"]) == (b"", True)
    read = {"h": "h", "version": head["version"]}
    assert ask("read", at=INLINE, count=10, **read) == ({"same": True}, b"bc")
    # Renamed or removed, an open file is what it was.
    path.unlink()
    path.write_bytes(b"another")
    assert ask("read", at=0, count=2, **read)[1] == b"aa"
    assert "stat" in ask("close", h="h")[0]
    assert ask("read", at=0, count=1, **read)[0]["errno"] == errno.EBADF


def test_a_file_that_is_written_while_it_is_open_for_reading_is_no_longer_that_version(
    ask: Asker, tmp_path: Path
) -> None:
    path = old(tmp_path / "file", b"a" * (INLINE + 1))
    head, _ = ask.open(path)
    with open(path, "r+b") as file:
        file.write(b"b")
    assert ask("read", h="h", at=0, count=1, version=head["version"]) == ({"same": False}, b"b")


def test_writes_are_done_in_order_and_an_error_is_told_at_the_end(ask: Asker, tmp_path: Path) -> None:
    path = tmp_path / "file"
    ask.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    ask("write", b"hello", h="h", at=0)
    ask("write", b"J", h="h", at=0)
    ask("cut", h="h", size=4)
    assert ask("close", h="h", stay=True)[0]["stat"][6] == 4
    assert path.read_bytes() == b"Jell"
    ask("cut", h="h", size=-1)
    ask("write", b"not any more", h="h", at=0)
    assert ask("close", h="h")[0]["errno"] == errno.EINVAL
    assert path.read_bytes() == b"Jell"


def test_appends_of_several_openers_follow_each_other(ask: Asker, tmp_path: Path) -> None:
    path = tmp_path / "log"
    for h in "ab":
        ask.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, h=h)
    for h in "abba":
        ask("write", h.encode(), h=h, at=-1)
    assert path.read_bytes() == b"abba"


def test_a_merge_writes_the_bytes_it_covers(ask: Asker, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    ask.open(path, os.O_RDWR)
    ask("merge", b"abcd" + zlib.compress(b"\xff\0\0\xff"), h="h", at=2, size=4)
    ask("merge", b"xyz" + zlib.compress(b"\xff\xff\xff"), h="h", at=9, size=3)
    assert path.read_bytes() == b"01a34d678xyz"


def test_who_comes_second_does_not_create(ask: Asker, tmp_path: Path) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    assert ask.open(tmp_path / "lock", flags)[0]["kept"]
    assert ask.open(tmp_path / "lock", flags, h="other")[0]["errno"] == errno.EEXIST


def test_a_new_file_has_the_mode_that_the_process_wants(ask: Asker, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        ask.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT, mode=0o664)
        ask.call("mkdir", tmp_path / "folder", mode=0o775)
    finally:
        os.umask(before)
    assert os.stat(tmp_path / "file").st_mode & 0o777 == 0o664
    assert os.stat(tmp_path / "folder").st_mode & 0o777 == 0o775


def test_a_lock_is_had_by_one_until_its_file_is_closed(
    ask: Asker, server: FileServer, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    for h, pid in (("a", 1), ("b", 2)):
        ask.open(path, os.O_RDWR | os.O_CREAT, h=h, pid=pid)
    lock = {"how": fcntl.LOCK_EX, "wait": False}
    assert [ask("flock", h=h, **lock)[0]["has"] for h in "ab"] == [True, False]
    server.forget({1})
    assert ask("flock", h="b", **lock)[0]["has"]


def test_who_waits_for_a_lock_is_answered_once_it_has_it(
    server: FileServer, ask: Asker, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    whole = {"length": 0, "start": 0, "whence": 0}
    for op in ("flock", "lockf"):
        for h in "ab":
            ask.open(path, os.O_RDWR | os.O_CREAT, h=h)
        wanted = {"op": op, "how": fcntl.LOCK_EX, "wait": True, **whole}
        assert server.answer({**wanted, "h": "a"}) == ({"has": True}, b"")
        later: Any = server.answer({**wanted, "h": "b"})
        ask("close", h="a")
        assert later() == ({"has": True}, b"")
        # Who has died meanwhile keeps none.
        ask("close", h="b")
        ask.open(path, os.O_RDWR, h="c")
        assert ask(op, h="c", how=fcntl.LOCK_EX, wait=False, **whole)[0]["has"]
        ask("close", h="c")


def test_files_of_processes_that_are_no_more_are_closed(
    ask: Asker, server: FileServer, tmp_path: Path
) -> None:
    before = os.listdir("/proc/self/fd")
    for pid in (1, 2):
        ask.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT, h=f"h{pid}", pid=pid)
    assert server.pids() == {1, 2}
    server.forget({1})
    assert server.pids() == {2}
    server.close()
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_more_files_than_descriptors_are_opened_again(
    ask: Asker, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_files, "DESCRIPTORS", 4)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(10):
        ask.open(tmp_path / str(number), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, h=str(number))
    assert len(os.listdir("/proc/self/fd")) - before == 4
    for number in range(10):
        ask("write", b"x" * number, h=str(number), at=0)
    assert [os.stat(tmp_path / str(number)).st_size for number in range(10)] == list(range(10))
    # One that is another file by now is not written.
    os.replace(tmp_path / "9", tmp_path / "0")
    assert ask("close", h="0")[0]["errno"] == errno.ESTALE
    server.close()


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_RDWR])
def test_nothing_is_opened_outside_the_roots(ask: Asker, tmp_path: Path, flags: int) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "file").write_text("secret")
    (tmp_path / "link").symlink_to(outside / "file")
    (tmp_path / "new").symlink_to(outside / "new")
    for path in (
        outside / "file",
        tmp_path / "link",
        tmp_path / "new",
        tmp_path / ".." / outside.name / "file",
    ):
        head, body = ask.open(path, flags)
        assert (head.get("errno"), body) == (errno.EACCES, b"")
    assert os.listdir(outside) == ["file"]
    assert (outside / "file").read_text() == "secret"


def test_nothing_is_done_outside_the_roots(ask: Asker, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "file").touch()
    (tmp_path / "out").symlink_to(outside)
    (tmp_path / "mine").touch()
    within = tmp_path / "out" / "file"
    calls = [
        ask.call("scan", tmp_path / "out"),
        ask.call("stat", within),
        ask.call("unlink", within),
        ask.call("rename", tmp_path / "mine", within),
        ask.call("rename", within, tmp_path / "got"),
        ask.call("link", within, tmp_path / "got"),
        ask.call("mkdir", tmp_path / "out" / "made", mode=0o777),
        ask.call("chmod", tmp_path / "out", mode=0),
        ask.call("truncate", within, length=3),
        ask.call("utime", within, ns=None),
        ask.call("symlink", tmp_path / "out" / "link", says="x"),
        ask.call("enter", tmp_path / "out"),
    ]
    assert [call.get("errno") for call in calls] == [errno.EACCES] * len(calls)
    assert os.listdir(outside) == ["file"]
    # The link itself is the root's.
    assert ask.call("unlink", tmp_path / "out") == {"ok": None}


@pytest.mark.parametrize(
    "request_",
    [{}, {"op": "nonsense"}, {"op": "open"}, {"op": "call", "name": "system", "paths": [], "follow": True}],
)
def test_a_request_that_makes_no_sense_is_an_error(server: FileServer, request_: dict[str, Any]) -> None:
    assert server.answer(request_)[0]["errno"] == errno.EINVAL
