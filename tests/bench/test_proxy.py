from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import proxy
import pytest

LATENCY = 0.02


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that sends back what it reads."""

    def serve() -> None:
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=back, args=(conn,)).start()

    def back(conn: socket.socket) -> None:
        with conn:
            while data := conn.recv(65536):
                conn.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def far(echo: tuple[str, int]) -> Iterator[tuple[str, int]]:
    """That server, LATENCY away."""
    between = proxy.Proxy(echo, LATENCY)
    stop, stopper = os.pipe()
    thread = threading.Thread(target=between.serve, args=(stop,))
    thread.start()
    yield "127.0.0.1", between.port
    os.close(stopper)
    thread.join()
    os.close(stop)
    between.close()


def test_a_round_trip_takes_the_latency_twice(far: tuple[str, int]) -> None:
    with socket.create_connection(far) as conn:
        start = time.perf_counter()
        conn.sendall(b"x")
        assert conn.recv(1) == b"x"
        assert time.perf_counter() - start >= 2 * LATENCY


def test_what_is_sent_together_is_late_together(far: tuple[str, int]) -> None:
    with socket.create_connection(far) as conn:
        start = time.perf_counter()
        for _ in range(100):
            conn.sendall(b"x")
        read = 0
        while read < 100:
            read += len(conn.recv(100))
        assert time.perf_counter() - start < 100 * LATENCY


def test_every_byte_arrives_in_order_and_the_end_after_them(far: tuple[str, int]) -> None:
    content = os.urandom(3 * proxy.UNDER_WAY)
    with socket.create_connection(far) as conn:

        def send() -> None:
            conn.sendall(content)
            conn.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=send)
        thread.start()
        found = bytearray()
        while data := conn.recv(65536):
            found += data
        thread.join()
    assert found == content


def test_a_refusing_target_ends_the_connection(echo: tuple[str, int]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = proxy.Proxy(unused.getsockname(), 0.0)
        stop, stopper = os.pipe()
        thread = threading.Thread(target=nowhere.serve, args=(stop,))
        thread.start()
        with socket.create_connection(("127.0.0.1", nowhere.port)) as conn:
            assert conn.recv(1) == b""
        os.close(stopper)
        thread.join()
        os.close(stop)
        nowhere.close()
