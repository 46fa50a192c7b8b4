"""A session in a store of the tests' own, and settings as if none were set."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from transparent_mp.config import Config
from transparent_mp.store.session import OwnedSession, open_session


@pytest.fixture
def session() -> Iterator[OwnedSession]:
    session = open_session(Config())
    yield session
    session.end()


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TRANSPARENT_MP_")]:
        monkeypatch.delenv(name)
    # A command may set it for the checks that follow.
    monkeypatch.setenv("TRANSPARENT_MP_BACKEND", "local")
