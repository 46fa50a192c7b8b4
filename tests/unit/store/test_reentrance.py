"""A store that is used by a finaliser or signal handler in the middle of its own exchange."""

from __future__ import annotations

import signal

import pytest

from transparent_mp.store.session import OwnedSession


@pytest.mark.parametrize("where", ["_send", "_turn", "_shared"])
def test_an_exchange_inside_an_exchange(
    session: OwnedSession, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    store = session.store
    real = getattr(store, where)
    inner: list[object] = []

    def interrupted(*args: object) -> object:
        monkeypatch.setattr(store, where, real)
        store.cast(("SET", "inner", "2"), on_reply=inner.append)
        inner.append(store.ask("GET", "inner"))
        store.settle()
        store.look()
        store.soon(("SET", "soon", "3"))
        return real(*args)

    store.cast(("SET", "outer", "1"))
    monkeypatch.setattr(store, where, interrupted)
    assert store.call(("GET", "outer"), ("ECHO", "x")) == [b"1", b"x"]
    assert inner == [b"OK", b"2"]
    assert store.ask("GET", "soon") == b"3"
    store.call(("DEL", "inner", "outer", "soon"))


def test_a_signal_handler_that_uses_the_store(session: OwnedSession) -> None:
    store = session.store
    counted: list[int] = []
    depth = 0

    def arm() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.0005)

    def ring(*_: object) -> None:
        nonlocal depth
        depth += 1
        # In the middle of another one too, but without end where a call takes longer than the timer.
        if depth < 3:
            arm()
        counted.append(store.ask("INCR", "rung"))
        depth -= 1
        arm()

    before = signal.signal(signal.SIGALRM, ring)
    try:
        arm()
        for number in range(3000):
            store.cast(("SET", "mine", number))
            assert store.ask("GET", "mine") == b"%d" % number
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    # A handler may run in the middle of another one.
    assert sorted(counted) == list(range(1, len(counted) + 1))
    assert counted
    store.call(("DEL", "rung", "mine"))
