from __future__ import annotations

import pytest

from transparent_mp.primitives import sent as module
from transparent_mp.primitives.sent import Sent


class Store:
    def __init__(self):
        self.looks = 0

    def look(self):
        self.looks += 1


@pytest.fixture
def at(monkeypatch):
    """Set the time."""
    return lambda now: monkeypatch.setattr(module.time, "monotonic", lambda: now)


def test_the_answer_to_the_last_is_looked_for_after_a_while(at):
    store, sent = Store(), Sent()
    at(10.0)
    sent.begin(store)
    at(10.0 + module.LOOK_AFTER / 2)
    sent.begin(store)
    assert store.looks == 0
    at(10.0 + 2 * module.LOOK_AFTER)
    sent.begin(store)
    assert store.looks == 1


@pytest.mark.parametrize(
    "go_on", [lambda sent, store: sent.begin(store), lambda sent, store: sent.look(store, 0.0)]
)
def test_there_is_none_to_look_for_when_all_have_come(at, go_on):
    store, sent = Store(), Sent()
    at(10.0)
    sent.begin(store)
    sent(1)
    at(20.0)
    assert not go_on(sent, store)
    assert store.looks == 0


def test_nobody_is_left_to_read():
    store, sent = Store(), Sent()
    sent.begin(store)
    sent(-1)
    with pytest.raises(BrokenPipeError):
        sent.begin(store)


def test_who_waits_for_what_comes_back_looks_meanwhile_if_the_next_message_would(at):
    store, sent = Store(), Sent()
    at(10.0)
    sent.begin(store)
    assert sent.look(store, 0.0) is None
    assert store.looks == 1
    at(10.0 + module.LOOK_AFTER / 2)
    sent.begin(store)
    assert sent.look(store, 0.0) is None
    assert store.looks == 1
