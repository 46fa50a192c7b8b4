"""The session this process takes part in, opened when it is first needed.

A client opens its session with the first process it starts or the first primitive it shares;
processes on workers, and a manager's server beside the client, are attached to one that is there.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from multiprocessing import util
from typing import Any

from transparent_mp import background, collector
from transparent_mp.config import Config
from transparent_mp.launch.bucket import equip
from transparent_mp.primitives import forked, opening
from transparent_mp.store.session import OwnedSession, Session, join, new_id, open_session


class _Place:
    """Where this process's session is kept."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.lock = threading.RLock()
        #: The holder id that a real child is to take, while it is being forked.
        self.child_uid = ""


_place = _Place()


def attached() -> Session | None:
    """This process's session, if it has one yet."""
    return _place.session


def current() -> Session:
    """This process's session; a client without one opens it.

    Raises ConfigError or StoreError when it cannot be opened.
    """
    session = _place.session
    if session is None:
        with _place.lock:
            session = _place.session
            if session is None:
                _place.session = session = _open()
    return session


def _open() -> OwnedSession:
    begun = opening.take()
    try:
        session = open_session(begun.config, begun.keeper)
        try:
            equip(session)
        except BaseException:
            session.end()
            raise
    except BaseException:
        opening.give_up()
        raise
    return session


def attach(session: Session) -> None:
    """Make `session` this process's own."""
    _place.session = session


def attach_ticket(ticket: dict[str, Any]) -> None:
    """Join the session that `ticket` admits to, as a process of its own (a manager's server)."""
    session = join(ticket, ticket["uid"], Config.from_environ())
    equip(session)
    attach(session)


@contextlib.contextmanager
def naming_child(uid: str) -> Iterator[None]:
    """A real child forked in this block takes part in the session as `uid`."""
    _place.child_uid = uid
    try:
        yield
    finally:
        _place.child_uid = ""


def started_beside() -> bool:
    """Whether this process was forked to run beside its parent, as a participant of its own."""
    return bool(_place.child_uid)


def leave() -> None:
    """End the session if this process opened one; children are joined first, as at any exit."""
    session = _place.session
    if isinstance(session, OwnedSession):
        # Has run by now as a rule; it does its work once.
        util._exit_function()  # type: ignore[attr-defined]
        session.store.ending.begin()
        session.end()
        opening.give_up()


def _after_fork_in_child() -> None:
    # The parent owns the links and the holds; a forked child takes part under a name of its own.
    session = _place.session
    _place.lock = threading.RLock()
    background.forget()
    collector.forget()
    if session is not None:
        # First: what is collected meanwhile is not to end the parent's holds.
        session.uid = _place.child_uid or new_id()
        session.store.reset()
        if isinstance(session, OwnedSession):
            session.let_go()


forked.in_child(_after_fork_in_child)
