from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from transparent_mp import background
from transparent_mp.config import Config
from transparent_mp.errors import ConfigError
from transparent_mp.primitives import session as sessions
from transparent_mp.store.ending import Ending
from transparent_mp.store.session import OwnedSession

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


class Opened(OwnedSession):
    """Stands for a session that was opened."""

    def __init__(self, order):
        self.order = order
        self.uid = "opened"
        self.store = SimpleNamespace(ending=Ending())

    def end(self):
        self.order.append("ended")


@pytest.fixture
def place(monkeypatch):
    """A place of the test's own, with no session yet."""
    place = sessions._Place()
    monkeypatch.setattr(sessions, "_place", place)
    return place


@pytest.fixture
def opening(place, monkeypatch):
    """The settings of what is opened, and what is done at the exit."""
    settings, order = [], []

    def open_session(config, _keeper):
        settings.append(config)
        return Opened(order)

    def take():
        return sessions.opening.Opening(Config.from_environ(), None, None)

    monkeypatch.setattr(sessions.opening, "take", take)
    monkeypatch.setattr(sessions, "open_session", open_session)
    monkeypatch.setattr(sessions.util, "_exit_function", lambda: order.append("joined"))
    return settings, order


def in_child(body):
    """Whether `body` is true in a forked child."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if body() else 1
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1] == 0


def test_there_is_none_until_it_is_needed(opening):
    assert sessions.attached() is None
    assert opening[0] == []


def test_is_opened_once_with_the_settings_of_the_environment(opening, monkeypatch):
    monkeypatch.setenv("TRANSPARENT_MP_LEASE", "7")
    session = sessions.current()
    assert sessions.current() is sessions.attached() is session
    assert [settings.lease for settings in opening[0]] == [7.0]


def test_threads_open_one_together(opening):
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: id(sessions.current()), range(50)))
    assert len(found) == len(opening[0]) == 1


def test_one_that_cannot_be_opened_is_tried_again(opening, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("TRANSPARENT_MP_LEASE", "none")
        with pytest.raises(ConfigError, match="TRANSPARENT_MP_LEASE"):
            sessions.current()
    assert sessions.attached() is None
    assert opening[0] == []
    assert sessions.current()


def test_ends_after_everything_that_multiprocessing_finalises(opening):
    sessions.current()
    sessions.leave()
    assert opening[1] == ["joined", "ended"]


def test_one_that_others_own_is_only_left(opening, own_session):
    sessions.attach(own_session)
    assert sessions.current() is own_session
    sessions.leave()
    assert opening == ([], [])
    assert own_session.store.ask("PING") == b"PONG"


def test_leaving_none_opens_none(opening):
    sessions.leave()
    assert opening == ([], [])


def test_a_ticket_admits_to_the_same_session(place, store_session):
    sessions.attach_ticket(dict(store_session.ticket(), uid="somebody"))
    session = sessions.current()
    assert (session.id, session.uid, session.client) == (store_session.id, "somebody", store_session.client)
    message = store_session.seal.close("place", b"content")
    assert session.seal.open("place", message) == b"content"
    session.store.close()


def test_a_forked_child_takes_part_under_a_name_of_its_own(own_session):
    link_before = own_session.store.ask("CLIENT", "ID")

    def body():
        mine = sessions.current()
        return mine.uid != uid and mine.store.ask("CLIENT", "ID") != link_before

    uid = own_session.uid
    assert in_child(body)
    assert own_session.uid == uid
    assert own_session.store.ask("CLIENT", "ID") == link_before


def test_a_forked_child_takes_the_name_that_it_is_given(own_session):
    with sessions.naming_child("the-server"):
        assert in_child(lambda: sessions.current().uid == "the-server")
    assert in_child(lambda: sessions.current().uid not in ("the-server", ""))


def test_a_forked_child_does_not_wait_for_locks_of_its_parents_threads(place, own_session):
    sessions.attach(own_session)
    release, locked = threading.Event(), threading.Event()

    def hold():
        with place.lock, own_session.store._lock:
            locked.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    locked.wait()

    def body():
        free = place.lock.acquire(timeout=5)
        return free and own_session.store.ask("PING") == b"PONG" and background._Ours.running == 0

    assert in_child(body)
    release.set()
    thread.join()


def test_a_forked_child_without_a_session_has_none(place):
    assert in_child(lambda: sessions.attached() is None)
