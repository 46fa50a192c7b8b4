"""A store that is used by a finaliser or signal handler in the middle of its own exchange."""

from __future__ import annotations

import gc
import os
import signal
from typing import Callable

import pytest

from transparent_mp.store.casts import Casts
from transparent_mp.store.line import Line
from transparent_mp.store.session import OwnedSession
from transparent_mp.store.store import Store


@pytest.mark.parametrize(("kind", "where"), [(Line, "put"), (Store, "_turn"), (Casts, "put")])
def test_an_exchange_inside_an_exchange(
    session: OwnedSession, monkeypatch: pytest.MonkeyPatch, kind: type, where: str
) -> None:
    store = session.store
    real = getattr(kind, where)
    inner: list[object] = []

    def interrupted(*args: object) -> object:
        monkeypatch.setattr(kind, where, real)
        store.cast(("SET", "inner", "2"), on_reply=inner.append)
        inner.append(store.ask("GET", "inner"))
        store.settle()
        store.look()
        store.soon(("SET", "soon", "3"))
        return real(*args)

    store.cast(("SET", "outer", "1"))
    monkeypatch.setattr(kind, where, interrupted)
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


@pytest.mark.parametrize("operation", ["cast", "call", "soon", "settle", "look"])
def test_no_cycle_is_collected_in_an_exchange(
    session: OwnedSession, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    store = session.store
    store.call(("SET", "held", "12"))
    seen: list[bool] = []
    for name in ("put", "take", "take_ready"):
        real = getattr(Line, name)

        def noting(*args: object, real: Callable[..., object] = real) -> object:
            seen.append(gc.isenabled())
            return real(*args)

        monkeypatch.setattr(Line, name, noting)
    store.cast(("SET", "other", "1"))
    seen.clear()
    if operation in ("settle", "look"):
        getattr(store, operation)()
    else:
        getattr(store, operation)(("SET", "other", "2"))
    assert seen
    assert not any(seen)
    assert gc.isenabled()
    store.call(("DEL", "held", "other"))


def test_what_a_forked_child_drops_before_it_has_let_go_of_the_link_is_not_sent(
    session: OwnedSession,
) -> None:
    store = session.store
    store.call(("SET", "dropped", "0"))
    pid = os.fork()
    if pid == 0:
        # Whether or not the hook that resets the store of a process has run.
        store.soon(("INCR", "dropped"))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert store.call(("GET", "dropped"), ("ECHO", "mine")) == [b"0", b"mine"]
    store.call(("DEL", "dropped"))
