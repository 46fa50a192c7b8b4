"""A session opens though the network is bad just then."""

from __future__ import annotations

import pytest

from faults.conftest import Server
from faults.proxy import Fault, Proxy
from transparent_mp.config import Config
from transparent_mp.errors import StoreError
from transparent_mp.store.session import open_session


@pytest.mark.parametrize("fault", [Fault.REQUEST_LOST, Fault.REQUEST_TORN, Fault.HALF_CLOSED])
@pytest.mark.parametrize("word", [b":alive", b":links:"])
def test_a_connection_that_is_lost_again_and_again(proxy: Proxy, fault: Fault, word: bytes) -> None:
    """Whenever it is first said that the session lives, or a line of it asks to be admitted."""
    seen = 0

    def watch(_port: int, upward: bool, data: bytes) -> None:
        nonlocal seen
        said = upward and word in data
        seen += said
        proxy.plan = lambda up: fault if up and said and seen <= 5 else None

    proxy.watch = watch
    session = open_session(Config(redis_url=proxy.url(), lease=20.0))
    assert session.store.ask("PING") == b"PONG"
    assert proxy.happened[fault] == 5
    proxy.watch = proxy.plan = None
    session.end()


def test_an_address_at_which_nobody_listens_is_none(server: Server) -> None:
    server.kill()
    with pytest.raises(StoreError):
        open_session(Config(redis_url=f"redis://127.0.0.1:{server.port}", lease=20.0))
    server.start()
