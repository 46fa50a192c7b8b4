"""A store of the tests' own, and sessions in it."""

from __future__ import annotations

import pytest

from transparent_mp.config import Config
from transparent_mp.primitives import session as sessions
from transparent_mp.store.session import join, new_id, open_session


@pytest.fixture(scope="session")
def store_session():
    """One session with an embedded server for the whole run."""
    session = open_session(Config())
    yield session
    session.end()


@pytest.fixture
def joined(store_session):
    """Makes sessions of further processes, as if each were a process of its own."""
    made = []

    def make():
        made.append(join(store_session.ticket(), new_id(), store_session.config))
        return made[-1]

    yield make
    for session in made:
        session.store.close()


@pytest.fixture
def own_session(joined):
    """The session of the test process itself."""
    before = sessions.attached()
    session = joined()
    sessions.attach(session)
    yield session
    sessions.attach(before)
