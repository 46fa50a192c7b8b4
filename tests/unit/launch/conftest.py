"""A session in a store of the tests' own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from transparent_mp.config import Config
from transparent_mp.store.session import OwnedSession, open_session


@pytest.fixture
def session() -> Iterator[OwnedSession]:
    session = open_session(Config())
    yield session
    session.end()
