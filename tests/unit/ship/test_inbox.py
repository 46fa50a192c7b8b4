from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from transparent_mp.errors import StoreError
from transparent_mp.ship.frames import encode
from transparent_mp.ship.inbox import Inbox
from transparent_mp.store.session import OwnedSession


@pytest.fixture
def inbox(session: OwnedSession) -> Iterator[Inbox]:
    inbox = Inbox(session)
    yield inbox
    inbox.stop()


def send(session: OwnedSession, frame: bytes) -> None:
    session.store.call(*session.push_event(session.uid, frame))


def test_events_reach_their_handlers_in_order_and_bad_ones_stop_nothing(
    session: OwnedSession, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []
    inbox.on("fine", lambda head, body: seen.append((head["number"], body)))
    inbox.on("bad", lambda head, body: 1 / 0)
    frames = [b"no frame", encode({"kind": "unknown"}), encode({"kind": "bad"}), encode({})]
    for number, frame in enumerate(frames):
        send(session, frame)
        send(session, encode({"kind": "fine", "number": number}, b"body"))
    with caplog.at_level(logging.WARNING, "transparent_mp"):
        inbox.start()
        inbox.stop()
    assert seen == [(number, b"body") for number in range(4)]
    assert len(caplog.records) == 4


def test_what_is_not_sealed_is_heard_of_scripts_only(
    session: OwnedSession, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []
    for kind in ("exit", "output", "want"):
        inbox.on(kind, lambda head, _body: seen.append(head["kind"]))
        session.store.call(("RPUSH", session.keys("inbox", session.uid), encode({"kind": kind})))
    with caplog.at_level(logging.WARNING, "transparent_mp"):
        inbox.start()
        inbox.stop()
    assert seen == ["exit"]
    assert ["'output'" in caplog.text, "'want'" in caplog.text, "'exit'" in caplog.text] == [
        True,
        True,
        False,
    ]
    assert session.store.ask("GET", session.keys("refused")) == b"2"


def test_an_event_is_heard_once_and_at_its_inbox(
    session: OwnedSession, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []
    inbox.on("output", lambda head, _body: seen.append(head["text"]))
    key = session.keys("inbox", session.uid)
    for uid, text in ((session.uid, "mine"), ("another", "another's")):
        send_to = session.push_event(uid, encode({"kind": "output", "text": text}))[0]
        session.store.call(("RPUSH", key, send_to[2]), ("RPUSH", key, send_to[2]))
    with caplog.at_level(logging.WARNING, "transparent_mp"):
        inbox.start()
        inbox.stop()
    assert seen == ["mine"]
    assert caplog.text.count("received before") == 1
    assert caplog.text.count("does not carry this session's seal") == 2


def test_a_lost_store_is_told_once(session: OwnedSession, inbox: Inbox) -> None:
    told: list[Any] = []
    ended = threading.Event()

    def lose(_head: Any, _body: bytes) -> None:
        raise StoreError("gone")

    inbox.on("lose", lose)
    inbox.on("lost", lambda head, _body: (told.append(head), ended.set()))
    inbox.start()
    send(session, encode({"kind": "lose"}))
    assert ended.wait(30)
    assert told == [{"reason": "gone"}]
