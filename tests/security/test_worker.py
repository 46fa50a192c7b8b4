"""What a worker with the session's secret can do to its client's machine: read and write within the roots."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any, Callable

import pytest

from transparent_mp.config import Config
from transparent_mp.ship import requests
from transparent_mp.ship.files import TOPIC, inbox_of
from transparent_mp.store.session import Session, join

APP = """
    import json, multiprocessing
    import helper

    if __name__ == "__main__":
        process = multiprocessing.Process(target=print, args=("hello",))
        process.start()
        process.join()
        from transparent_mp.primitives import session as sessions
        print(json.dumps(sessions.current().ticket()))
        input()
"""


class Worker:
    """A worker that asks what no process of the program would."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def file(self, op: str, data: bytes = b"", **request: Any) -> tuple[dict[str, Any], bytes]:
        asked = {"op": op, "pid": 5_000_000, **request}
        return requests.ask(self.session, TOPIC, asked, data, of=inbox_of(self.session))

    def open(self, path: object, flags: int = os.O_RDONLY) -> tuple[dict[str, Any], bytes]:
        return self.file("open", path=str(path), flags=flags, mode=0o666, h="h", have="", whole=True)

    def call(self, name: str, *paths: object, follow: bool = True, **arguments: Any) -> dict[str, Any]:
        asked = {"name": name, "paths": [str(path) for path in paths], "follow": follow, "with": arguments}
        return self.file("call", **asked)[0]

    def module(self, kind: str, **request: Any) -> tuple[dict[str, Any], bytes]:
        return requests.ask(self.session, "module", {"kind": kind, **request})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "key").write_text("secret")
    (tmp_path / "private" / "key.py").write_text("secret")
    (tmp_path / "project" / "file").write_text("mine")
    (tmp_path / "project" / "helper.py").write_text("helper = 1\n")
    return tmp_path / "project"


@pytest.fixture
def worker(program: Callable[..., Any], redis: Callable[..., Any], project: Path) -> Any:
    running = program(APP, REDIS_URL=redis().address, ROOTS=str(project))
    assert running.hear() == "hello"
    session = join(json.loads(running.hear()), "hostile", Config())
    yield Worker(session)
    session.store.close()
    running.say("done")
    out, err, status = running.finish()
    assert (out, status) == ("", 0), err


def ways_out(project: Path) -> list[str]:
    private = project.parent / "private"
    return [
        str(private / "key"),
        f"{project}/../private/key",
        f"{project}/link/key",
        f"{project}/link-to-file",
        f"{project}/link/../private/key",
        f"{project}/deep/er/../../../private/key",
        "/etc/passwd",
        "/proc/self/environ",
        f"/proc/self/root{private}/key",
        "../private/key",
        "",
    ]


def make_links(worker: Worker, project: Path) -> None:
    """It may make links in a root, whatever they say; nobody goes through them."""
    for name, says in (("link", "../private"), ("link-to-file", "../private/key")):
        assert worker.call("symlink", project / name, says=says) == {"ok": None}
    assert worker.call("mkdir", project / "deep", mode=0o755) == {"ok": None}
    assert worker.call("mkdir", project / "deep" / "er", mode=0o755) == {"ok": None}


def test_what_is_in_a_root_is_read_and_written(worker: Worker, project: Path) -> None:
    head, body = worker.open(project / "file")
    assert (head["version"] != "", body) == (True, b"mine")


def test_nothing_else_is_read(worker: Worker, project: Path) -> None:
    make_links(worker, project)
    for path in ways_out(project):
        for flags in (os.O_RDONLY, os.O_RDWR, os.O_PATH, os.O_RDONLY | os.O_DIRECTORY):
            head, body = worker.open(path, flags)
            assert (head["errno"], body) == (errno.EACCES, b""), path
        assert worker.call("stat", path)["errno"] == errno.EACCES
    for folder in (
        project.parent,
        project.parent / "private",
        project / "link",
        "/etc",
        "/",
        f"{project}/..",
    ):
        assert worker.call("scan", folder)["errno"] == errno.EACCES, folder


def test_nothing_else_is_written(worker: Worker, project: Path) -> None:
    make_links(worker, project)
    private = project.parent / "private"
    new = [f"{private}/new", f"{project}/link/new", f"{project}/../private/new", f"{project}/../new"]
    for path in [*ways_out(project), *new]:
        for flags in (os.O_WRONLY, os.O_WRONLY | os.O_CREAT, os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            assert worker.open(path, flags)[0]["errno"] == errno.EACCES, path
        for name, arguments in (
            ("truncate", {"length": 0}),
            ("chmod", {"mode": 0}),
            ("utime", {"ns": [0, 0]}),
            ("chown", {"uid": 1, "gid": 1}),
        ):
            assert worker.call(name, path, **arguments)["errno"] == errno.EACCES, (name, path)
        if not path.endswith("link-to-file"):
            # The link itself is the root's.
            assert worker.call("unlink", path)["errno"] == errno.EACCES
            assert worker.call("rename", project / "file", path)["errno"] == errno.EACCES
            assert worker.call("rename", path, project / "stolen")["errno"] == errno.EACCES
            assert worker.call("link", path, project / "stolen")["errno"] == errno.EACCES
            assert worker.call("mkdir", path, mode=0o777)["errno"] == errno.EACCES
            assert worker.call("symlink", path, says="x")["errno"] == errno.EACCES
    assert sorted(os.listdir(private)) == ["key", "key.py"]
    assert (private / "key").read_text() == "secret"
    assert (project / "file").read_text() == "mine"


def test_devices_and_pipes_are_not_touched(worker: Worker, project: Path) -> None:
    os.mkfifo(project / "fifo")
    os.mknod(project / "null", 0o666 | 0o020000, os.makedev(1, 3))
    for path in (project / "fifo", project / "null"):
        for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
            assert worker.open(path, flags)[0]["errno"] == errno.EACCES
        assert worker.call("truncate", path, length=0)["errno"] == errno.EACCES


def test_no_code_is_read_through_a_link(worker: Worker, project: Path) -> None:
    assert worker.module("data", module="helper", path="file")[1] == b"mine"
    make_links(worker, project)
    assert worker.call("symlink", project / "evil.py", says="../private/key.py") == {"ok": None}
    asked = [
        ("module", {"name": "evil"}),
        ("module", {"name": "link.key"}),
        ("data", {"module": "helper", "path": "../private/key"}),
        ("data", {"module": "helper", "path": "link/key"}),
        ("data", {"module": "helper", "path": "link-to-file"}),
        ("data", {"module": "link", "path": "key"}),
        ("list", {"module": "helper", "path": ".."}),
        ("list", {"module": "link", "path": ""}),
        ("source", {"file": str(project.parent / "private" / "key.py")}),
        ("script", {"file": str(project.parent / "private" / "key.py")}),
        ("folder", {"path": str(project.parent)}),
        ("folder", {"path": str(project / "link")}),
    ]
    for kind, request in asked:
        head, body = worker.module(kind, **request)
        assert "PermissionError" in head.get("error", ""), (kind, request, head)
        assert body == b""
    # One that takes the place of a module that is loaded, and of the script.
    for name in ("helper.py", "app.py"):
        assert worker.call("unlink", project / name) == {"ok": None}
        assert worker.call("symlink", project / name, says="../private/key.py") == {"ok": None}
        for kind in ("source", "script"):
            head, body = worker.module(kind, file=str(project / name))
            assert ("PermissionError" in head["error"], body) == (True, b"")


def test_a_request_that_makes_no_sense_is_answered_and_the_next_one_too(
    worker: Worker, project: Path
) -> None:
    for request in ({"op": "open"}, {"op": []}, {"op": "call", "name": "system", "paths": ["/"], "with": {}}):
        head, _ = requests.ask(worker.session, TOPIC, request, of=inbox_of(worker.session))
        assert head["errno"] == errno.EINVAL
    assert worker.call("stat", project / "file", nonsense=1)["errno"] == errno.EINVAL
    for flags in (-1, 1 << 40, "x"):
        assert worker.open(project / "file", flags)[0]["errno"] in (errno.EINVAL, errno.ENOTDIR)
    assert worker.open(project / "file")[1] == b"mine"
