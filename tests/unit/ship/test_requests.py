from __future__ import annotations

import threading
from typing import Any

import pytest

from transparent_mp.config import Config
from transparent_mp.errors import SessionLostError, UntrustedPayloadError
from transparent_mp.ship import requests
from transparent_mp.ship.inbox import Inbox
from transparent_mp.ship.requests import Answers, ask
from transparent_mp.store.session import OwnedSession, Session, join


@pytest.fixture
def answers(session: OwnedSession) -> Any:
    answers = Answers(session)
    inbox = Inbox(session)
    inbox.on("request", answers.handle)
    inbox.start()
    yield answers
    inbox.stop()


@pytest.fixture
def asker(session: OwnedSession) -> Any:
    asker = join(session.ticket(), "asker", Config())
    yield asker
    asker.store.close()


def test_head_and_body_come_back(answers: Answers, asker: Session) -> None:
    answers.on("double", lambda request: ({"twice": 2 * request["n"]}, b"body"))
    assert ask(asker, "double", {"n": 21}) == ({"twice": 42}, b"body")


def test_an_answer_of_any_size_comes_back(answers: Answers, asker: Session) -> None:
    answers.on("large", lambda _request: ({}, b"x" * 3_000_000))
    assert ask(asker, "large", {})[1] == b"x" * 3_000_000


def test_a_slow_answer_keeps_no_other_waiting(answers: Answers, asker: Session) -> None:
    may_end = threading.Event()
    answers.on("slow", lambda _request: (may_end.wait(30), ({"slow": True}, b""))[1], slow=True)
    answers.on("quick", lambda _request: ({"quick": True}, b""))
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.append(ask(asker, "slow", {})))
    waiting.start()
    assert ask(asker, "quick", {}) == ({"quick": True}, b"")
    may_end.set()
    waiting.join(30)
    assert got == [({"slow": True}, b"")]


def test_what_a_slow_answer_raises_is_the_answer(answers: Answers, asker: Session) -> None:
    answers.on("slow", lambda request: ({"n": request["none"]}, b""), slow=True)
    assert ask(asker, "slow", {})[0] == {"error": "KeyError: 'none'"}


def test_no_answer_is_an_error(asker: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "ANSWER_TIMEOUT", 0.05)
    with pytest.raises(SessionLostError, match="did not answer a request"):
        ask(asker, "anything", {})


def test_an_answer_can_be_had_at_this_sessions_keys_only(session: OwnedSession) -> None:
    with pytest.raises(UntrustedPayloadError, match="outside this session"):
        Answers(session).handle({"key": "tmp:{other}:answer:1", "topic": "t"}, b"")


def test_a_request_that_is_not_sealed_is_refused(session: OwnedSession) -> None:
    key = session.keys("answer", "1")
    with pytest.raises(UntrustedPayloadError):
        Answers(session).handle({"key": key, "topic": "t"}, b"x" * 40 + b"{}")


def test_a_request_is_answered_once_and_for_who_asked(
    answers: Answers, asker: Session, session: OwnedSession
) -> None:
    done: list[int] = []
    answers.on("add", lambda request: (done.append(request["n"]), ({}, b""))[1])
    inbox = session.keys("inbox", session.client)
    requests.send(asker, "add", {"n": 1}, key=session.keys("answer", "1"))
    requests.send(asker, "add", {"n": 2}, key=session.keys("answer", "2"))
    assert session.store.pop(session.keys("answer", "2"), 30) is not None
    # What passes through the store can be read, kept and changed there.
    kept = asker.push_event(session.client, b'{"kind":"request","topic":"add","key":""}\n')[0][2]
    for sent in (kept, kept.replace(b'"key":""', b'"key":"x"'), kept.replace(b"add", b"del")):
        session.store.call(("RPUSH", inbox, sent))
    ask(asker, "add", {"n": 3})
    assert done == [1, 2, 3]


def test_answers_do_not_stay(answers: Answers, asker: Session, session: OwnedSession) -> None:
    answers.on("echo", lambda _request: ({}, b""))
    ask(asker, "echo", {})
    assert session.store.ask("KEYS", session.keys("answer") + ":*") == []
    assert session.store.ask("EXISTS", session.keys("answers")) == 0


@pytest.fixture
def unread(answers: Answers, asker: Session, session: OwnedSession) -> str:
    """Key of an answer whose asker does not wait for it any more."""
    answers.on("echo", lambda _request: ({}, b"body"))
    requests.send(asker, "echo", {}, key=session.keys("answer", "unread"))
    # Answered in their order.
    ask(asker, "echo", {})
    return session.keys("answer", "unread")


def test_an_answer_that_nobody_takes_goes_with_the_session(unread: str, session: OwnedSession) -> None:
    assert session.store.ask("LLEN", unread) == 2
    keys, parts = session.keys, ("alive", "keys", "objects", "workers", "starting", "answers")
    session.store.call(session.script("end_session", parts, (keys.base, keys.any_object, 1000)))
    assert session.store.ask("KEYS", keys("answer") + "*") == []


def test_it_is_forgotten_when_it_is_gone(unread: str, session: OwnedSession) -> None:
    keys, parts = session.keys, ("alive", "keys", "objects", "answers")
    renew = session.script("renew_session", parts, (60_000, session.ttl, keys.any_object))
    for known in (1, 0):
        assert session.store.call(renew) == [1]
        assert session.store.ask("SCARD", keys("answers")) == known
        session.store.call(("DEL", unread))
