"""A process on a worker and its client in one process, without a store between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from transparent_mp.ship.files import FileServer
from transparent_mp.ship.roots import Roots
from transparent_mp.worker.files import state
from transparent_mp.worker.files.remote import Remote, check
from transparent_mp.worker.files.state import Files


class Direct(Remote):
    """Asks the server itself, and keeps what was asked."""

    def __init__(self, server: FileServer) -> None:
        self.server = server
        self.asked: list[str] = []
        self.sent: list[str] = []

    def ask(
        self, op: str, named: Any = None, named2: Any = None, /, **fields: Any
    ) -> tuple[dict[str, Any], bytes]:
        self.asked.append(fields.get("name", op))
        head, body = self.server.answer({"op": op, **fields})
        check(head, named, named2)
        return head, body

    def send(self, op: str, data: Any = b"", **fields: Any) -> None:
        self.sent.append(op)
        self.server.answer({"op": op, **fields}, memoryview(data))

    def settle(self) -> None:
        self.asked.append("settle")

    def take(self) -> list[str]:
        """What was asked since the last time."""
        asked, self.asked = self.asked, []
        return asked


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "client"
    path.mkdir()
    return path


@pytest.fixture
def remote(root: Path) -> Iterator[Direct]:
    server = FileServer(Roots([str(root)]))
    yield Direct(server)
    server.close()


@pytest.fixture
def files(tmp_path: Path, root: Path, remote: Direct) -> Iterator[Files]:
    """The files of a process for which `root` is the client's."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    files = state._Place.files = Files(remote, [str(root)], str(scratch))
    yield files
    state.forget()
