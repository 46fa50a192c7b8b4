"""The client's files of shared memory: names that the session knows and whose contents it does not.

They are plain Python's own files, so a program that the client starts by itself can open them, and
they cost what they cost in plain Python. When a process elsewhere looks at one, it asks the client
("segment"), who brings the contents into the store and takes part in the exchange from then on. When a
process elsewhere takes a name away ("unlinked"), the client removes the file, and first brings the
contents into the store if somebody still holds them.

It does not know what a program does with its handles: `shared_memory` does.
"""

from __future__ import annotations

import contextlib
import threading
from multiprocessing import resource_tracker
from typing import Any

from transparent_mp.primitives import forked, names, segments
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.names import Entry
from transparent_mp.primitives.segments import Segment, State
from transparent_mp.ship.frames import Head
from transparent_mp.store.session import Session, new_id


class Home:
    """One file."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        #: Under which the session knows it; "" for an object id before it does.
        self.entry = Entry("", size, names.CLIENT)
        self._lock = threading.Lock()

    def enter(self) -> Entry:
        """Give it an object id."""
        self.entry = self.entry._replace(oid=new_id())
        return self.entry

    def publish(self, session: Session, oid: str) -> None:
        """Bring the contents into the store, as object `oid`. Raises FileNotFoundError without a file."""
        with self._lock:
            if self.entry.where == names.CLIENT:
                segment = segments.live.get(self.name) or Segment(self.name, State.HOME, self.entry.size)
                segment.share(oid)
                before = self.entry._replace(oid=oid)
                self.entry = before._replace(where=names.FILE)
                session.store.cast(names.moved(session, self.name, before, self.entry))


class _Homes:
    """The files that this process knows of."""

    def __init__(self) -> None:
        self.by_name: dict[str, Home] = {}
        self.not_entered: list[Home] = []
        #: Object ids whose files are removed before the client has heard that they were unlinked.
        self.buried: set[str] = set()
        #: Names that this process's resource tracker removes at its end.
        self.tracked: set[str] = set()
        self.lock = threading.RLock()


_homes = _Homes()
tracked = _homes.tracked


def add(name: str, size: int, *, wait: bool) -> bool:
    """Let the session know a file by its name; False when it is taken, if one is to `wait` for that."""
    home = Home(name, size)
    session = sessions.attached()
    with _homes.lock:
        _homes.by_name[name] = home
        if session is None or session.store.closed:
            _homes.not_entered.append(home)
            return True
        command = names.enter(session, name, home.enter(), must=not wait)
    if not wait:
        session.store.cast(command)
        return True
    if session.store.ask(*command):
        return True
    forget(name)
    return False


def enter_all(session: Session) -> None:
    """Enter the files that were there before the session was."""
    with _homes.lock:
        for home in _homes.not_entered:
            if _homes.by_name.get(home.name) is home:
                session.store.cast(names.enter(session, home.name, home.enter(), must=True))
        _homes.not_entered.clear()


def oid(name: str, session: Session) -> str:
    """Under which object id the session knows a file."""
    enter_all(session)
    return _homes.by_name[name].entry.oid


def is_known(name: str) -> bool:
    """Whether this process knows of a file of that name."""
    return name in _homes.by_name


def is_entered(name: str) -> bool:
    """Whether the session knows of that file, or did."""
    home = _homes.by_name.get(name)
    return home is not None and bool(home.entry.oid)


def forget(name: str) -> None:
    """There is no such file any more."""
    _homes.by_name.pop(name, None)


def unlinked(session: Session, name: str, oid: str, left: int) -> bool:
    """The session has taken the name away: keep the contents for the `left` who hold them.

    False when the name means another file by now.
    """
    home = _homes.by_name.get(name)
    if home is None:
        return True
    if home.entry.oid != oid:
        return False
    if left:
        # Removed by another program: those who hold it read zeros.
        with contextlib.suppress(FileNotFoundError):
            home.publish(session, oid)
    # Only now: until then, whoever asks for the contents has to wait for them.
    _homes.by_name.pop(name, None)
    segments.live.pop(name, None)
    return True


def bury(session: Session, name: str) -> None:
    """Remove the file of a name that was taken away elsewhere, before the client has heard of it."""
    oid = _homes.by_name[name].entry.oid
    _homes.buried.add(oid)
    unlinked(session, name, oid, session.store.ask("SCARD", session.keys.object(oid, "h0")))
    remove(name)


def remove(name: str) -> None:
    """Remove a file that the program does not remove by itself."""
    with contextlib.suppress(FileNotFoundError):
        segments.unlink_file(name)
    if name in tracked:
        resource_tracker.unregister("/" + name, "shared_memory")


def answer(request: dict[str, Any]) -> tuple[Head, bytes]:
    """Someone is about to look at the contents of a name."""
    home = _homes.by_name.get(request["name"])
    if home is not None:
        try:
            home.publish(sessions.current(), request["oid"])
        except FileNotFoundError:
            return {"gone": True}, b""
    return {}, b""


def on_unlinked(head: Head, _body: bytes) -> None:
    """A process elsewhere has taken a name away."""
    name, oid = head["name"], head["oid"]
    if oid in _homes.buried:
        _homes.buried.discard(oid)
        return
    # A file that this client has not made is not its to remove, whatever is said in the store.
    if is_known(name) and unlinked(sessions.current(), name, oid, head["left"]):
        remove(name)


def _after_fork_in_child() -> None:
    _homes.lock = threading.RLock()


forked.in_child(_after_fork_in_child)
