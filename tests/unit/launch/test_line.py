from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from transparent_mp.launch.line import Line, target

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nDate: today\r\nContent-Length: 0\r\n\r\n"
URL = "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/workers%3Alive/invocations?Qualifier=1"


class Connection:
    """urllib3's, as far as a line knows it."""

    def __init__(self, proxy: Any = None) -> None:
        self.sock, self.other = socket.socketpair()
        self.proxy = proxy

    def close(self) -> None:
        self.sock.close()


def answer(connection: Any, status: int = 202, length: str = "0") -> Any:
    raw = SimpleNamespace(connection=connection)
    return SimpleNamespace(status_code=status, headers={"Content-Length": length}, raw=raw)


def request(**headers: Any) -> Any:
    return SimpleNamespace(method="POST", url=URL, headers=headers, data=b"{}")


@pytest.fixture
def connection() -> Iterator[Connection]:
    one = Connection()
    with one.sock, one.other:
        yield one


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        (URL, "lambda.eu-west-1.amazonaws.com", URL[len("https://lambda.eu-west-1.amazonaws.com") :]),
        ("http://127.0.0.1:4566", "127.0.0.1:4566", "/"),
        ("https://user:word@host:443/a", "host", "/a"),
        ("http://[::1]:80/a", "[::1]", "/a"),
        ("http://[::1]/a", "[::1]", "/a"),
        ("http://host:443/a", "host:443", "/a"),
    ],
)
def test_a_url_is_a_host_and_a_path(url: str, host: str, path: str) -> None:
    assert target(url) == (host, path)


def test_what_is_written_is_the_request_and_nothing_else(connection: Connection) -> None:
    line = Line.of(answer(connection))
    assert line is not None
    connection.other.sendall(ACCEPTED)
    assert line.ask(request(Host="h", Authorization=b"A, b=c")) == 202
    path = URL.partition(".com")[2]
    wanted = f"POST {path} HTTP/1.1\r\nHost: h\r\nAuthorization: A, b=c\r\nContent-Length: 2\r\n\r\n{{}}"
    assert connection.other.recv(10_000).decode() == wanted
    assert line.is_open
    assert line.is_quiet()


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 202),
        (b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}", 202),
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 202),
        (b"HTTP/1.1 202 Accepted\r\n\r\n", 202),
        (b"HTTP/1.0 202 Accepted\r\nContent-Length: 0\r\n\r\n", 202),
        (b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", 429),
    ],
)
def test_after_any_other_answer_it_is_closed(connection: Connection, said: bytes, status: int) -> None:
    line = Line.of(answer(connection))
    assert line is not None
    connection.other.sendall(said)
    assert line.ask(request()) == status
    assert not line.is_open
    assert connection.sock.fileno() == -1


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 2", b"SSH-2.0-x\r\n\r\n", b"x" * 200_000])
def test_what_is_no_answer_is_an_error_of_the_way_there(connection: Connection, said: bytes) -> None:
    line = Line.of(answer(connection))
    assert line is not None
    connection.other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
    connection.other.sendall(said)
    connection.other.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionError, match="answer"):
        line.ask(request())
    assert connection.sock.fileno() == -1


def test_a_header_is_one_line(connection: Connection) -> None:
    line = Line.of(answer(connection))
    assert line is not None
    with pytest.raises(ConnectionError, match="Invalid header"):
        line.ask(request(Token="a\r\nHost: b"))
    connection.other.settimeout(60)
    assert connection.other.recv(10) == b""


def test_its_end_is_noticed_before_it_is_asked(connection: Connection) -> None:
    line = Line.of(answer(connection))
    assert line is not None
    assert line.is_quiet()
    connection.other.close()
    assert not line.is_quiet()


def test_only_an_open_direct_connection_with_nothing_to_read_becomes_one(connection: Connection) -> None:
    assert Line.of(answer(connection, status=403)) is None
    assert Line.of(answer(connection, length="2")) is None
    assert Line.of(answer(SimpleNamespace(sock=None, proxy=None))) is None
    assert Line.of(answer(SimpleNamespace(sock=connection.sock, proxy="a proxy"))) is None
    assert Line.of(answer(None)) is None
