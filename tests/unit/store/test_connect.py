from __future__ import annotations

import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from transparent_mp.errors import ConfigError, StoreError
from transparent_mp.hidden import Address
from transparent_mp.store import connect, server


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    started = server.start()
    yield started.url
    started.stop()


def with_netloc(url: str, netloc: str, path: str = "/0") -> str:
    port = urlsplit(url).port
    return f"redis://{netloc}127.0.0.1:{port}{path}"


def test_password(url: str) -> None:
    link = connect.connect(url)
    link.send([("PING",)])
    assert link.read() == b"PONG"
    link.close()


def test_a_network_that_swallows_packets_is_noticed_within_seconds(url: str) -> None:
    link = connect.connect(url)
    asked = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 3, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 20_000}
    for name, value in asked.items():
        if hasattr(socket, name):
            assert link._sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value
    assert link._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    link.close()


def test_user_with_a_quoted_password_and_a_database(url: str) -> None:
    admin = connect.connect(url)
    admin.send([("ACL", "SETUSER", "ann", "on", ">p@ss/word", "~*", "+@all")])
    assert admin.read() == b"OK"
    admin.close()
    link = connect.connect(with_netloc(url, "ann:p%40ss%2Fword@", "/3"))
    link.send([("ACL", "WHOAMI"), ("CLIENT", "LIST", "ID", "0"), ("CLIENT", "INFO")])
    assert link.read() == b"ann"
    link.read()
    assert b" db=3 " in link.read()
    link.close()


@pytest.mark.parametrize("options", ["", "?health_check_interval=0"], ids=["plainly", "by redis-py"])
def test_wrong_password(url: str, options: str) -> None:
    with pytest.raises(StoreError, match=r"wants another user or password; put them into") as raised:
        connect.connect(with_netloc(url, ":wrong@") + options)
    assert "wrong@" not in str(raised.value)


def test_unknown_database(url: str) -> None:
    with pytest.raises(StoreError, match=r"DB index is out of range; check TRANSPARENT_MP_REDIS_URL"):
        connect.connect(url.rpartition("/")[0] + "/9999")


def test_refused() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(StoreError, match=r"refused; check TRANSPARENT_MP_REDIS_URL"):
            connect.connect(f"redis://127.0.0.1:{unused.getsockname()[1]}")


def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "CONNECT_TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(StoreError, match=r"has not answered"):
        connect.connect(f"redis://:secret@127.0.0.1:{mute.getsockname()[1]}")


def test_a_blocking_link_waits_for_ever(url: str) -> None:
    link = connect.connect(url)
    assert link._sock.gettimeout() is None
    link.close()


def test_redis_py_stays_unimported(url: str) -> None:
    code = (
        "import sys; from transparent_mp.store.connect import connect; connect(sys.argv[1]).close(); "
        "assert 'redis' not in sys.modules; connect(sys.argv[1] + '?health_check_interval=0').close(); "
        "assert 'redis' in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code, url], check=True, timeout=30)


def test_an_address_that_means_nothing_is_named() -> None:
    with pytest.raises(ConfigError, match="redis://host:port/x is not understood"):
        connect.connect("redis://user:secret@host:port/x")


def test_public_leaves_out_user_and_password() -> None:
    assert connect.public("rediss://user:p%40ss@host:1/2?x=y") == "rediss://host:1/2"
    assert "pw" not in connect.public("unix://user:pw@/run/redis.sock")


@pytest.mark.parametrize(
    "address",
    [
        "redis://ann:hush@127.0.0.1:{closed}/0",
        "redis://ann:hush@127.0.0.1:{open}/0",
        "redis://ann:hush@127.0.0.1:{open}/0?health_check_interval=0",
        "rediss://ann:hush@127.0.0.1:{open}/0",
        "redis://ann:hush@127.0.0.1:port/0",
        "redis://ann:hush@[::1/0",
        "redis://:hu/hush@127.0.0.1:{open}",
        "unix://ann:hush@/nowhere/redis.sock",
        "redis://127.0.0.1:{open}?username=ann&password=hush&nonsense=1",
    ],
)
def test_no_error_shows_a_password_not_even_among_locals(url: str, address: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        ports = {"closed": unused.getsockname()[1], "open": urlsplit(url).port}
    given = Address(address.format(**ports))
    with pytest.raises((StoreError, ConfigError)) as raised:
        connect.connect(given)
    step = raised.value.__traceback__
    assert step is not None
    # The first frame is this test's, which has the address as a text.
    shown = traceback.TracebackException(
        type(raised.value), raised.value, step.tb_next, capture_locals=True, lookup_lines=False
    )
    assert "hush" not in "".join(shown.format())


@pytest.mark.parametrize(
    ("url", "alone"),
    [
        ("redis://localhost:6379", True),
        ("rediss://:word@127.0.0.5", True),
        ("redis://[::1]:1/0", True),
        ("unix:///run/redis.sock", True),
        ("redis://10.0.0.1:6379", False),
        ("redis://127.example.org", False),
        ("redis://store", False),
    ],
)
def test_an_address_that_is_each_machine_s_own_is_known(url: str, alone: bool) -> None:
    assert connect.is_here_alone(url) is alone
