"""Measures what it is told on its input, one answer a line: the same script for every variant.

    open NAME    make what the operation needs        -> {}
    once         measure                              -> {"value": ..., "r": ... if BENCH_RAW is set}
    close        end it                               -> {}

An operation that fails answers {"error": ...} and ends this process, since what it has opened may wait
for ever. BENCH_START is the start method,
BENCH_RAW the address on which the raw round trip is taken, before and after each measurement.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import statistics
import sys
import time
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import of_files
import of_locks
import of_memory
import of_messages
import of_processes
import operations

# Each registers what it measures.
_REGISTERED = of_files, of_locks, of_memory, of_messages, of_processes


class RoundTrip:
    """A GET of 64 bytes on a socket of its own: r, in milliseconds."""

    def __init__(self, url: str) -> None:
        import hiredis

        parts = urlsplit(url)
        self._sock = socket.create_connection((parts.hostname, parts.port or 6379))
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()
        self._pack = hiredis.pack_command
        if parts.password:
            self._ask(("AUTH", *filter(None, (parts.username, parts.password))))
        self._ask(("SET", "bench:raw", b"x" * 64, "EX", 3600))

    def take(self, seconds: float = 0.02) -> float:
        """The median over that time, of at least 20."""
        get, found = ("GET", "bench:raw"), []
        end = time.perf_counter() + seconds
        while len(found) < 20 or time.perf_counter() < end:
            begin = time.perf_counter()
            self._ask(get)
            found.append((time.perf_counter() - begin) * 1e3)
        return statistics.median(found)

    def _ask(self, command: tuple[Any, ...]) -> Any:
        self._sock.sendall(self._pack(command))
        reply = False
        while reply is False:
            self._reader.feed(self._sock.recv(4096))
            reply = self._reader.gets()
        return reply


def serve() -> None:
    """Answer commands until the input ends."""
    raw = RoundTrip(os.environ["BENCH_RAW"]) if "BENCH_RAW" in os.environ else None
    opened = ExitStack()
    measure: Any = None
    for line in sys.stdin:
        command, *words = line.split()
        answer: dict[str, Any] = {}
        try:
            if command == "open":
                measure = opened.enter_context(operations.OPERATIONS[words[0]]())
            elif command == "once":
                before = raw.take() if raw else 0.0
                answer["value"] = measure()
                if raw:
                    answer["r"] = (before + raw.take()) / 2
            else:
                opened.close()
                # Memory that is shared for longer would be compared in what is measured next.
                measure = None
                gc.collect()
        except Exception as error:
            answer["error"] = f"{type(error).__name__}: {error}"[:300]
        print(json.dumps(answer), flush=True)
        if "error" in answer:
            os._exit(1)


if __name__ == "__main__":
    method = os.environ.get("BENCH_START")
    if method:
        operations.mp.set_start_method(method)
    serve()
