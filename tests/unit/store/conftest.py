"""A session in a store of the tests' own, and lines of it whose connections can be lost."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, Callable

import pytest

from transparent_mp.config import Config
from transparent_mp.store.admission import Admission
from transparent_mp.store.connect import connect
from transparent_mp.store.dialling import Dialler
from transparent_mp.store.line import Line
from transparent_mp.store.scripts import loading
from transparent_mp.store.session import OwnedSession, new_id, open_session


@pytest.fixture
def session() -> Iterator[OwnedSession]:
    session = open_session(Config())
    yield session
    session.end()


@pytest.fixture
def dialler(session: OwnedSession) -> Dialler:
    """That of a process of its own."""
    dialler = Dialler(lambda: connect(session.worker_url), loading(), 5.0, False)
    dialler.admission = Admission(session.keys, session.ttl, new_id())
    return dialler


@pytest.fixture
def line(dialler: Dialler) -> Iterator[Callable[..., Any]]:
    """Make a line, of that kind."""
    made: list[Line] = []

    def make(kind: Any = Line) -> Any:
        one = kind(dialler.dial)
        dialler.dial(one, shared=True)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


@pytest.fixture
def lose() -> Callable[[Line], None]:
    """End the connection of a line, as seen from here."""

    def lose(one: Line) -> None:
        assert one.link is not None
        one.link._sock.shutdown(socket.SHUT_RDWR)

    return lose
