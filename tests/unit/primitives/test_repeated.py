from __future__ import annotations

import hashlib
from types import SimpleNamespace

import pytest

from transparent_mp.errors import SessionLostError
from transparent_mp.primitives import repeated as module
from transparent_mp.primitives.pickling import APART
from transparent_mp.primitives.repeated import Repeated, whole
from transparent_mp.ship import contents
from transparent_mp.store.pieces import Piece, Pieces

LARGE = b"x" * APART


@pytest.fixture
def kept(monkeypatch, own_session):
    """The client's book of contents, of which there are none yet."""
    for key in own_session.store.ask("KEYS", own_session.keys("content", "*")):
        own_session.store.ask("DEL", key)
    kept = contents.Kept(own_session)
    client = SimpleNamespace(snapshots=SimpleNamespace(kept=kept))
    monkeypatch.setattr(module.starter, "current", lambda: client)
    return kept


@pytest.fixture
def name(kept, own_session):
    """Put a task of these pieces; answers which of them it only names."""
    tasks = Repeated("pool")

    def name(task, *buffers):
        content = Pieces([Piece(b"stream"), *(Piece(one, apart=True) for one in buffers)])
        first, content = tasks.named(own_session, task, content)
        own_session.store.call(*first) if first else None
        name.content = content
        return [one.elsewhere for one in content.pieces[1:]]

    name.tasks = tasks
    return name


def stored(session):
    return {key.rpartition(b":")[2] for key in session.store.ask("KEYS", session.keys("content", "*"))}


def digest(content):
    return hashlib.sha256(content).hexdigest()


def test_what_comes_again_is_stored_once_and_then_only_named(name, own_session):
    assert name(1, LARGE) == [False]
    assert stored(own_session) == set()
    assert name(2, LARGE) == [True]
    assert stored(own_session) == {digest(LARGE).encode()}
    assert name(3, bytearray(LARGE), b"y" * APART) == [True, False]
    assert name.content.own == len(b"stream") + APART


def test_small_pieces_go_with_their_tasks(name):
    assert name(1, LARGE[1:]) == [False]
    assert name(2, LARGE[1:]) == [False]


def test_what_no_task_names_any_more_goes_when_there_is_too_much(name, own_session, monkeypatch):
    monkeypatch.setattr(contents, "KEEP", APART)
    for task, content in enumerate((LARGE, LARGE, b"y" * APART, b"y" * APART)):
        name(task, content)
    assert len(stored(own_session)) == 2
    name.tasks.done(1)
    assert len(stored(own_session)) == 2
    name.tasks.done(3)
    own_session.store.settle()
    assert stored(own_session) == {digest(b"y" * APART).encode()}


def test_it_is_stored_anew_for_the_next_task(name, own_session, monkeypatch):
    monkeypatch.setattr(contents, "KEEP", 0)
    name(1, LARGE)
    name(2, LARGE)
    name.tasks.done(2)
    own_session.store.settle()
    assert stored(own_session) == set()
    assert name(3, LARGE) == [True]
    assert stored(own_session) == {digest(LARGE).encode()}


def test_it_stays_while_another_task_names_it(name, own_session, monkeypatch):
    monkeypatch.setattr(contents, "KEEP", 0)
    for task in (1, 2, 3):
        name(task, LARGE)
    name.tasks.done(2)
    name.tasks.done(2)
    name.tasks.done("unknown")
    own_session.store.settle()
    assert stored(own_session) == {digest(LARGE).encode()}


def test_a_pool_that_is_gone_needs_nothing(name, own_session, kept, monkeypatch):
    monkeypatch.setattr(contents, "KEEP", 0)
    name(1, LARGE)
    name(2, LARGE)
    name.tasks.close()
    # It is a finaliser that says so: done when the book is next written.
    kept.release("nobody")
    own_session.store.settle()
    assert stored(own_session) == set()


def test_a_pool_of_a_process_on_a_worker_names_nothing(monkeypatch, own_session):
    monkeypatch.setattr(module.starter, "current", lambda: SimpleNamespace(snapshots=None))
    tasks, content = Repeated("pool"), Pieces([Piece(LARGE)])
    for task in (1, 2):
        assert tasks.named(own_session, task, content) == ([], content)


def test_a_worker_fills_in_what_is_named(name, own_session, monkeypatch):
    name(1, LARGE)
    name(2, LARGE)
    sent = Pieces([one._replace(buffer=b"") if one.elsewhere else one for one in name.content.pieces])
    monkeypatch.setattr(own_session, "shelf", lambda session, name: bytearray(contents.get(session, name)))
    found = whole(own_session, sent)
    assert [bytes(one.buffer) for one in found.pieces] == [b"stream", LARGE]
    assert whole(own_session, found) is found
    assert whole(own_session, b"no pieces") == b"no pieces"


def test_who_has_no_worker_says_so(own_session, monkeypatch):
    monkeypatch.setattr(own_session, "shelf", None)
    with pytest.raises(SessionLostError, match="has no worker"):
        whole(own_session, Pieces([Piece(b"", elsewhere=True, digest=b"d" * 32)]))


def test_what_was_sent_long_ago_is_forgotten(name, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 1)
    name(1, LARGE)
    name(2, b"y" * APART)
    assert name(3, LARGE) == [False]
