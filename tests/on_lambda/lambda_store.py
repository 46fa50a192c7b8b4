"""The store of the local Lambda."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from transparent_mp.store.server import find_binary


@contextmanager
def store(host: str) -> Iterator[str]:
    """Address of a Redis server that listens there and nowhere else."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port = probe.getsockname()[1]
    command = [find_binary(), "--port", str(port), "--bind", host, "--protected-mode", "no", "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd="/") as server:
        assert server.stdout is not None
        while b"Ready to accept connections" not in (line := server.stdout.readline()):
            assert line, "the server has ended"
        yield f"redis://{host}:{port}"
        server.kill()
