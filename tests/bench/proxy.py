"""A TCP proxy that delays every byte by the same time each way: a network's distance on one machine.

    python -m tests.bench.proxy HOST:PORT --latency 0.3     ms each way; prints the port it listens on

One thread, one queue: all delays are equal, so what came first is due first. It leaves when its
input ends. What is under way is bounded, and so are connections: one more is refused.

It delays only; it does not narrow the bandwidth, and it cannot speak TLS.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

#: Connections at once; two fds each, and select takes 1,024.
CONNECTIONS = 450
#: Bytes under way in one direction of a connection, beyond which it is not read from.
UNDER_WAY = 4 * 1024 * 1024
READ = 256 * 1024
_PR_SET_TIMERSLACK = 29


class End:
    """One socket of a pair; `backlog` is what is due to it and not yet written."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.other: End = self
        self.backlog = bytearray()
        self.under_way = 0
        self.open = True
        self.reading = True

    def fileno(self) -> int:
        return self.sock.fileno()

    def write(self, data: bytes) -> None:
        """Write what the socket takes now; an empty piece is the end."""
        if not data:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)
            return
        self.backlog += data
        self.flush()

    def flush(self) -> None:
        try:
            sent = self.sock.send(self.backlog)
        except BlockingIOError:
            return
        except OSError:
            self.other.reading = False
            sent = len(self.backlog)
        del self.backlog[:sent]
        self.under_way -= sent


class Proxy:
    """Forwards connections to `target`, `latency` seconds late each way."""

    def __init__(self, target: tuple[str, int], latency: float) -> None:
        self._target = target
        self.latency = latency
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._ends: set[End] = set()
        self._due: deque[tuple[float, End, bytes]] = deque()

    def serve(self, stop: int) -> None:
        """Until the fd `stop` is readable."""
        while True:
            wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            readers = [end for end in self._ends if end.reading and end.other.under_way < UNDER_WAY]
            writers = [end for end in self._ends if end.backlog]
            ready, writable, _ = select.select([stop, self._listener, *readers], writers, [], wait)
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                _, end, data = self._due.popleft()
                end.write(data)
            for end in writable:
                end.flush()
            for end in ready:
                if end == stop:
                    return
                self._accept() if end is self._listener else self._read(end, now)
            self._sweep()

    def close(self) -> None:
        """Close every socket, having served."""
        self._listener.close()
        while self._ends:
            self._ends.pop().sock.close()

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        try:
            far = socket.create_connection(self._target) if len(self._ends) < 2 * CONNECTIONS else None
        except OSError:
            far = None
        if far is None:
            near.close()
            return
        one, two = End(near), End(far)
        one.other, two.other = two, one
        self._ends |= {one, two}

    def _read(self, end: End, now: float) -> None:
        try:
            data = end.sock.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            end.reading = False
        end.other.under_way += len(data)
        self._due.append((now + self.latency, end.other, data))

    def _sweep(self) -> None:
        busy = {end for _, end, _ in self._due}
        for end in list(self._ends):
            if not end.reading and not end.other.reading and not {end, end.other} & busy and not end.backlog:
                end.sock.close()
                self._ends.discard(end)


@contextlib.contextmanager
def between(url: str, latency: float) -> Iterator[str]:
    """The store's address seen from `latency` milliseconds away, through a proxy process."""
    parts = urlsplit(url)
    if parts.scheme != "redis":
        raise SystemExit(f"--latency needs a store at redis://, not {parts.scheme}://")
    target = f"{parts.hostname or '127.0.0.1'}:{parts.port or 6379}"
    command = [sys.executable, __file__, target, "--latency", str(latency)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(process.stdout.readline())
        user = parts.netloc.rpartition("@")[0]
        netloc = f"{user}@127.0.0.1:{port}" if user else f"127.0.0.1:{port}"
        try:
            yield urlunsplit((parts.scheme, netloc, parts.path, parts.query, ""))
        finally:
            process.stdin.close()


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", metavar="HOST:PORT")
    parser.add_argument("--latency", type=float, default=0.3, help="milliseconds each way")
    options = parser.parse_args()
    host, _, port = options.target.rpartition(":")
    if sys.platform == "linux":
        # The kernel rounds waits up by 50 us otherwise.
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1)
    proxy = Proxy((host, int(port)), options.latency / 1000)
    print(proxy.port, flush=True)
    proxy.serve(sys.stdin.fileno())


if __name__ == "__main__":
    main()
