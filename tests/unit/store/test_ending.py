"""Who leaves a session takes its other threads along without a word."""

from __future__ import annotations

import select
import threading
from typing import Any, Callable

import pytest

from transparent_mp import background
from transparent_mp.errors import StoreError
from transparent_mp.store.ending import Ending
from transparent_mp.store.session import OwnedSession
from transparent_mp.store.spin import Spin
from transparent_mp.store.store import Store

#: Seconds after which it hangs.
HANGS = 60
MOMENT = 0.05


@pytest.fixture
def ending() -> Ending:
    made = Ending()
    made.begin()
    return made


def raised(call: Callable[[], Any]) -> list[str]:
    """What it raises in a thread of the program."""
    found: list[str] = []

    def run() -> None:
        try:
            call()
            found.append("")
        except BaseException as error:
            found.append(type(error).__name__)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(HANGS)
    return found


def test_another_thread_is_ended(ending: Ending) -> None:
    assert raised(ending.meet) == ["SystemExit"]
    assert raised(Ending().meet) == [""]


def test_who_leaves_goes_on(ending: Ending) -> None:
    ending.meet()
    ending.park()


def test_a_thread_of_our_own_goes_on(ending: Ending) -> None:
    done = threading.Event()

    def run() -> None:
        ending.meet()
        ending.park()
        done.set()

    background.start(run)
    assert done.wait(HANGS)


def test_who_waits_goes_on_waiting(session: OwnedSession, monkeypatch: pytest.MonkeyPatch) -> None:
    waits, left = threading.Event(), threading.Event()

    def wait(_spin: Spin, _poll: select.poll, _timeout: float | None) -> list[tuple[int, int]]:
        waits.set()
        assert left.wait(HANGS)
        return [(0, select.POLLHUP)]

    monkeypatch.setattr(Spin, "wait", wait)
    store = session.store
    waiter = threading.Thread(target=store.pop, args=(session.keys.object("o", "q0"),), daemon=True)
    waiter.start()
    assert waits.wait(HANGS)
    store.ending.begin()
    store.close()
    left.set()
    waiter.join(MOMENT)
    assert waiter.is_alive()


def test_what_is_asked_of_a_store_that_was_left_ends_the_thread(session: OwnedSession) -> None:
    store: Store = session.store
    store.ending.begin()
    store.close()
    for call in (lambda: store.ask("PING"), lambda: store.cast(("PING",)), lambda: store.pop("key", 1.0)):
        assert raised(call) == ["SystemExit"]
        with pytest.raises(StoreError):
            call()
