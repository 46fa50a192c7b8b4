"""A store of the tests' own, and the proxy through which it is reached."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.proxy import Proxy
from transparent_mp.config import Config
from transparent_mp.store.server import find_binary
from transparent_mp.store.session import OwnedSession, open_session

#: Seconds in which a server that starts or ends does so.
LIMIT = 30.0


class Server:
    """A real redis-server that keeps every write, so that it can be restarted with its data."""

    def __init__(self, place: Path, *options: str) -> None:
        self.place = place
        self.options = options
        self.port = 0

    def start(self) -> None:
        """Start it, again on the same port; returns when it has loaded its data."""
        common = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        command = [find_binary(), "--port", str(self.port or _free_port()), *common, *self.options]
        self._process = subprocess.Popen([*command, "--dir", str(self.place)], stdout=subprocess.PIPE)
        self.port = int(command[2])
        assert self._process.stdout is not None
        while b"Ready to accept connections" not in (line := self._process.stdout.readline()):
            assert line, "the server has ended"

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait(LIMIT)
        self._process.stdout.close()  # type: ignore[union-attr]

    def forget(self) -> None:
        """Remove its data, while it does not run."""
        for path in sorted(self.place.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    place = tmp_path / "data"
    place.mkdir()
    server = Server(place)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", server.port)) as proxy:
        yield proxy


@pytest.fixture
def session(proxy: Proxy) -> Iterator[OwnedSession]:
    session = open_session(Config(redis_url=proxy.url(), lease=20.0))
    yield session
    proxy.plan = None
    session.end()
