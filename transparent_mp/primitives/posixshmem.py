"""The leaf under SharedMemory: `shm_open` and `shm_unlink`, for names of the session.

    at the client    a file of its machine, as in plain Python (`homes`); while nobody can know the name that
                     it was given, and no child was forked, one that has no name yet (`unnamed`)
    elsewhere        memory without a name on that machine

A name that the session does not know is looked for among the client's files too, so the client shares
memory with programs that it starts by itself; processes on workers do not, since on their machines it
would be somebody else's.

The resource tracker, by which plain Python removes what a program forgets, is told of files only.

`shm_open` gives out a descriptor and notes its segment under it, in `place.opening`, for whoever maps it.
It does not know the class that stands on it: `shared_memory` does.
"""

from __future__ import annotations

import errno
import os
from typing import Callable

from transparent_mp.primitives import homes, names, segments, sharing, unnamed
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.names import Entry
from transparent_mp.primitives.segments import Segment, State
from transparent_mp.store.session import Session

_CREATE = os.O_CREAT | os.O_EXCL
#: Bytes that a name may have, as for a file.
_LONGEST = 255


class _Place:
    """What this process has opened."""

    def __init__(self) -> None:
        #: By the descriptor that `shm_open` gave out, until `__init__` has mapped it.
        self.opening: dict[int, Segment] = {}
        #: Made here under names that nobody was told.
        self.private: dict[str, Segment] = {}
        #: At the client, names that have no file there, which its resource tracker must not remove.
        self.untracked: set[str] = set()
        #: Whether this is a child that a process at home has forked by itself.
        self.home = False
        #: The same for the child that is being forked.
        self.next_at_home = False


place = _Place()


def at_home() -> bool:
    """Whether shared memory of this process is a file of the client's machine."""
    session = sessions.attached()
    return session is None or session.uid == session.client or place.home


def _session() -> Session | None:
    """The session, if there is one and it has not ended: finalisers of the program may come later."""
    session = sessions.attached()
    return None if session is None or session.store.closed else session


class Leaf:
    """`_posixshmem` as multiprocessing.shared_memory sees it."""

    @staticmethod
    def shm_open(path: str, flags: int, mode: int = 0o777) -> int:
        name = path.lstrip("/")
        if not name or "/" in name or len(os.fsencode(name)) > _LONGEST:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
        while True:
            try:
                if flags & _CREATE != _CREATE:
                    segment, fd = _attach(name, flags & ~os.O_CREAT)
                else:
                    segment, fd = _create(name, flags, mode)
            except FileNotFoundError:
                if not flags & os.O_CREAT:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
                flags |= os.O_EXCL
            except FileExistsError:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from None
            else:
                place.opening[fd] = segment
                return fd

    @staticmethod
    def shm_unlink(path: str) -> None:
        name = path.lstrip("/")
        if not _unlink(name):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def _create(name: str, flags: int, mode: int) -> tuple[Segment, int]:
    segment = Segment(name, State.PRIVATE)
    if not at_home():
        if place.private.setdefault(name, segment) is not segment:
            raise FileExistsError
        segment.fd = segments.nameless(0)
        return segment, os.dup(segment.fd)
    try:
        fd = unnamed.create(segment, mode)
        if fd < 0:
            fd = segments.open_file(name, flags, mode)
    except FileExistsError:
        session = _session()
        if session is None or not homes.is_entered(name) or names.look_up(session, name) is not None:
            raise
        homes.bury(session, name)
        fd = segments.open_file(name, flags, mode)
    place.untracked.discard(name)
    place.private[name] = segment
    return segment, fd


def _attach(name: str, flags: int) -> tuple[Segment, int]:
    private = place.private.get(name)
    if private is not None:
        return private, os.dup(private.fd) if private.fd >= 0 else segments.open_file(name, flags)
    session = _session()
    entry = None if session is None else names.find(session, name)
    if entry is None:
        return _attach_unknown(session, name, flags)
    live = segments.live.get(name)
    if entry.where == names.CLIENT and at_home():
        return live or Segment(name, State.HOME, oid=entry.oid), segments.open_file(name, flags)
    if entry.where == names.STORE:
        place.untracked.add(name)
    if live is None or live.oid != entry.oid:
        hold = sharing.take(sessions.current(), entry.oid)
        live = Segment(name, State.WAITING, entry.size, segments.nameless(entry.size))
        live.wait(hold, ask=entry.where == names.CLIENT)
    return live, os.dup(live.descriptor())


def _attach_unknown(session: Session | None, name: str, flags: int) -> tuple[Segment, int]:
    if not at_home():
        raise FileNotFoundError
    if session is not None and homes.is_entered(name):
        homes.bury(session, name)
        raise FileNotFoundError
    # One from before the session, or of another program: the session's processes have it through us.
    return segments.live.get(name) or Segment(name, State.HOME), segments.open_file(name, flags)


def _unlink(name: str) -> bool:
    """Take a name away; False when there is none."""
    session = _session()
    if place.private.pop(name, None) is not None or session is None:
        homes.forget(name)
        segments.live.pop(name, None)
        if at_home() and name not in place.untracked and not unnamed.unlink(name):
            segments.unlink_file(name)
        return True
    found = names.unlink(session, name)
    if found is None:
        return at_home() and _unlink_unknown(session, name)
    entry, left = found
    if session.uid == session.client:
        homes.unlinked(session, name, entry.oid, left)
        if entry.where != names.STORE:
            segments.unlink_file(name)
    segments.live.pop(name, None)
    return True


def _unlink_unknown(session: Session, name: str) -> bool:
    if homes.is_entered(name):
        homes.bury(session, name)
        return False
    homes.forget(name)
    segments.live.pop(name, None)
    segments.unlink_file(name)
    return True


def tell(segment: Segment, *, wait: bool) -> bool:
    """Let the session know a segment by its name; False when another has it."""
    if at_home():
        unnamed.link(segment.name)
    place.private.pop(segment.name, None)
    if at_home():
        segment.state = State.HOME
        return homes.add(segment.name, segment.size, wait=wait)
    segment.share()
    session = sessions.current()
    entry = Entry(segment.oid, segment.size, names.STORE)
    command = names.enter(session, segment.name, entry, must=not wait)
    if not wait:
        session.store.cast(command)
        return True
    if session.store.ask(*command):
        return True
    segment.unshare()
    return False


def register(stock: Callable[[str, str], None]) -> Callable[[str, str], None]:
    """`resource_tracker.register`: only files of this machine are its to remove."""

    # What it uses is looked up when it is called, as in `unregister`: `homes` may be half imported by now.
    def register(path: str, rtype: str) -> None:
        if rtype == "shared_memory":
            if not _is_file(path) or unnamed.register(path.lstrip("/")):
                return
            homes.tracked.add(path.lstrip("/"))
        stock(path, rtype)

    return register


def unregister(stock: Callable[[str, str], None]) -> Callable[[str, str], None]:
    """`resource_tracker.unregister`."""

    def unregister(path: str, rtype: str) -> None:
        if rtype == "shared_memory":
            if not _is_file(path) or unnamed.unregister(path.lstrip("/")):
                return
            homes.tracked.discard(path.lstrip("/"))
        stock(path, rtype)

    return unregister


def _is_file(path: str) -> bool:
    return at_home() and path.lstrip("/") not in place.untracked


def _before_fork() -> None:
    # Without a session, what the child becomes is not known: a supervisor's child is no kin.
    place.next_at_home = sessions.attached() is not None and at_home()
    # Who takes a name away has to find that out of the other.
    unnamed.link_all()


def _after_fork_in_child() -> None:
    place.home = place.next_at_home and not sessions.started_beside()
    if sessions.started_beside():
        place.private.clear()
        segments.live.clear()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
