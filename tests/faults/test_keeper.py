"""The session's keeper, whose connection is lost between two things that it does."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from faults.proxy import Fault, Proxy
from transparent_mp.hidden import Hiding
from transparent_mp.store import keeper as module
from transparent_mp.store.keeper import _Keeper
from transparent_mp.store.session import OwnedSession


@pytest.fixture
def keeper(session: OwnedSession, proxy: Proxy) -> Iterator[_Keeper]:
    task = Hiding(session=session.id, url=proxy.url(), lease=session.lease, ttl=session.ttl)
    keeper = _Keeper(task, waits=True)
    yield keeper
    keeper._store.close()


def test_a_connection_that_is_lost_meanwhile_costs_no_renewal(keeper: _Keeper, proxy: Proxy) -> None:
    for _ in range(3):
        assert keeper.run(keeper.renewal()) == 1
        proxy.cut()


def test_one_that_is_lost_in_the_middle_is_tried_again_by_who_knows_whether_it_may_be(
    keeper: _Keeper, proxy: Proxy
) -> None:
    assert keeper.run(keeper.renewal()) == 1
    proxy.next(Fault.REQUEST_LOST)
    assert keeper.run(keeper.renewal()) is None
    assert keeper.run(keeper.renewal()) == 1


def test_a_session_is_ended_as_soon_as_the_store_is_back(
    session: OwnedSession, keeper: _Keeper, proxy: Proxy
) -> None:
    assert keeper.run(keeper.renewal()) == 1
    proxy.refuse()
    back = threading.Timer(0.3, proxy.accept)
    back.start()
    keeper.clean(0.02)
    back.join()
    assert keeper.run(("EXISTS", session.keys("alive"))) == 0
    assert keeper.run(keeper.renewal()) == 0


def test_a_connection_that_dies_without_a_word_costs_no_lease(
    keeper: _Keeper, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keeper.run(keeper.renewal()) == 1
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    link = keeper._store._line.link
    # What the server says on it stays on its way, from here on.
    proxy.hold(link._sock.getsockname()[1])
    assert keeper.renew() is None
    while (answer := keeper.renew()) is None:
        continue
    assert answer == 1
    assert keeper._store._line.link is not link
