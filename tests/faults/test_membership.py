"""A worker's lease, when its connection dies without a word."""

from __future__ import annotations

import sys

import pytest

from faults.proxy import Proxy
from transparent_mp.store.session import OwnedSession, join, new_id
from transparent_mp.worker import membership as module
from transparent_mp.worker.membership import Membership


def test_it_is_renewed_on_another_connection(
    session: OwnedSession, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = session.keys("lease", "w")
    session.store.call(("SADD", session.keys("starting"), "w"))
    ticket = dict(session.ticket(), worker="w", python=list(sys.version_info[:2]), slots=1)
    worker = join(ticket, new_id(), session.config, ("worker", "w"))
    membership = Membership(worker, ticket)
    assert membership.check_in()
    # A tenth of a second.
    monkeypatch.setattr(module, "PATIENCE", 10 * session.lease)
    for _ in range(2):
        assert worker.store._line is not None
        link = worker.store._line.link
        assert link is not None
        # What the server says on it stays on its way, from here on.
        proxy.hold(link._sock.getsockname()[1])
        session.store.ask("PERSIST", lease)
        before = membership.over_at
        assert membership.renew()
        assert session.store.ask("PTTL", lease) > 0
        assert membership.over_at > before
        assert worker.store._line.link is not link
    worker.store.close()
