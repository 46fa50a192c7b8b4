"""Names of shared memory, for tests: the client's files, and what the store has of the session's."""

from __future__ import annotations

from pathlib import Path

from transparent_mp.store.session import Session, new_id

FILES = Path("/dev/shm")


def some_name() -> str:
    return f"unit_{new_id()}"


def entries(session: Session) -> int:
    """How many names the store has."""
    return int(session.store.ask("HLEN", session.keys("segments")))
