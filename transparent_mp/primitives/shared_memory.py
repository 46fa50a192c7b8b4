"""`multiprocessing.shared_memory.SharedMemory` for processes that share no machine.

The class is CPython's. Replaced are its leaf, `shm_open` and `shm_unlink`; `name`, since a segment that
nobody can know the name of needs no session; `buf`, since contents travel when they are first looked
at; and its pickling for a forked child, which in plain Python inherits the mapping and not the name.

    __init__    shm_open gives a descriptor and notes its segment; `_entered` binds that to the mapping
    name        the session knows the segment from here on
    buf         the contents are here from here on

At the client the files are plain Python's (`homes`). A name that the session does not know is looked
for among them too, so the client shares memory with programs that it starts by itself; processes on
workers do not, since on their machines it would be somebody else's.

What a segment is, and which states it has, is in `segments`.
"""

from __future__ import annotations

import errno
import functools
import mmap
import os
from multiprocessing import context
from typing import Any, Callable

from transparent_mp.primitives import homes, names, segments, sharing
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


_place = _Place()


def _at_home() -> bool:
    """Whether shared memory of this process is a file of the client's machine."""
    session = sessions.attached()
    return session is None or session.uid == session.client or _place.home


def _session() -> Session | None:
    """The session, if there is one and it has not ended: finalisers of the program may come later."""
    session = sessions.attached()
    return None if session is None or session.store.closed else session


class posixshmem:  # noqa: N801  stands for the module of that name
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
                _place.opening[fd] = segment
                return fd

    @staticmethod
    def shm_unlink(path: str) -> None:
        name = path.lstrip("/")
        if not _unlink(name):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def _create(name: str, flags: int, mode: int) -> tuple[Segment, int]:
    segment = Segment(name, State.PRIVATE)
    if not _at_home():
        if _place.private.setdefault(name, segment) is not segment:
            raise FileExistsError
        segment.fd = segments.nameless(0)
        return segment, os.dup(segment.fd)
    try:
        fd = segments.open_file(name, flags, mode)
    except FileExistsError:
        session = _session()
        if session is None or not homes.is_entered(name) or names.look_up(session, name) is not None:
            raise
        homes.bury(session, name)
        fd = segments.open_file(name, flags, mode)
    _place.untracked.discard(name)
    _place.private[name] = segment
    return segment, fd


def _attach(name: str, flags: int) -> tuple[Segment, int]:
    private = _place.private.get(name)
    if private is not None:
        return private, os.dup(private.fd) if private.fd >= 0 else segments.open_file(name, flags)
    session = _session()
    entry = None if session is None else names.find(session, name)
    if entry is None:
        return _attach_unknown(session, name, flags)
    live = segments.live.get(name)
    if entry.where == names.CLIENT and _at_home():
        return live or Segment(name, State.HOME, oid=entry.oid), segments.open_file(name, flags)
    if entry.where == names.STORE:
        _place.untracked.add(name)
    if live is None or live.oid != entry.oid:
        hold = sharing.take(sessions.current(), entry.oid)
        live = Segment(name, State.WAITING, entry.size, segments.nameless(entry.size))
        live.wait(hold, ask=entry.where == names.CLIENT)
    return live, os.dup(live.descriptor())


def _attach_unknown(session: Session | None, name: str, flags: int) -> tuple[Segment, int]:
    if not _at_home():
        raise FileNotFoundError
    if session is not None and homes.is_entered(name):
        homes.bury(session, name)
        raise FileNotFoundError
    # One from before the session, or of another program: the session's processes have it through us.
    return segments.live.get(name) or Segment(name, State.HOME), segments.open_file(name, flags)


def _unlink(name: str) -> bool:
    """Take a name away; False when there is none."""
    session = _session()
    if _place.private.pop(name, None) is not None or session is None:
        homes.forget(name)
        segments.live.pop(name, None)
        if _at_home() and name not in _place.untracked:
            segments.unlink_file(name)
        return True
    found = names.unlink(session, name)
    if found is None:
        return _at_home() and _unlink_unknown(session, name)
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


def init(stock: Callable[..., None]) -> Callable[..., None]:
    """`SharedMemory.__init__`."""

    @functools.wraps(stock)
    def __init__(self: Any, name: Any = None, create: bool = False, size: int = 0, **more: Any) -> None:  # noqa: N807
        try:
            stock(self, name, create, size, **more)
        except BaseException:
            _place.opening.pop(self._fd, None)
            raise
        _opened(self, chosen=name is not None)

    return __init__


def _opened(handle: Any, *, chosen: bool) -> None:
    segment = _place.opening.pop(handle._fd)
    segment.size = handle._size
    before = segments.live.get(segment.name)
    segment.handles.add(handle)
    segments.mapped[handle._mmap] = segment
    segments.live[segment.name] = segment
    if segment.state is State.HOME and not homes.is_known(segment.name):
        homes.add(segment.name, segment.size, wait=False)
    if segment.state is State.PRIVATE and chosen and not _tell(segment, wait=True):
        handle.close()
        _place.private.pop(segment.name, None)
        if before is not None:
            segments.live[segment.name] = before
        if _at_home():
            homes.remove(segment.name)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), handle._name)


def _tell(segment: Segment, *, wait: bool) -> bool:
    """Let the session know a segment by its name; False when another has it."""
    _place.private.pop(segment.name, None)
    if _at_home():
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


def name(stock: property) -> property:
    """`SharedMemory.name`: who asks for it may tell it to others."""

    def get(self: Any) -> Any:
        if _place.private:
            segment = _place.private.get((self._name or "").lstrip("/"))
            if segment is not None:
                _tell(segment, wait=False)
        return stock.fget(self)  # type: ignore[misc]

    return property(get, doc=stock.__doc__)


def buf(stock: property) -> property:
    """`SharedMemory.buf`: contents travel when they are first looked at."""

    def get(self: Any) -> Any:
        if segments.waiting and self._mmap is not None:
            segment = segments.mapped.get(self._mmap)
            if segment is not None:
                segment.look()
        return self._buf

    return property(get, doc=stock.__doc__)


def reduce(stock: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`SharedMemory.__reduce__`: a forked child has what its parent has mapped, even without a name."""

    @functools.wraps(stock)
    def __reduce__(self: Any) -> Any:  # noqa: N807
        if not by_fork() or (self._mmap is not None and not is_inherited_by_fork(self._mmap)):
            return stock(self)
        attributes = {key: value for key, value in vars(self).items() if key not in _LOCAL}
        return _inherit, (type(self), attributes, self._mmap)

    return __reduce__


_LOCAL = ("_fd", "_mmap", "_buf")


def by_fork() -> bool:
    """Whether a process is being started by fork in this thread."""
    return getattr(context.get_spawning_popen(), "method", "") == "fork"


def is_inherited_by_fork(mapping: mmap.mmap) -> bool:
    """Whether a child that is forked maps the same segment."""
    segment = segments.mapped.get(mapping)
    return segment is not None and segment.state is not State.INHERITED


def reduce_mapping(mapping: mmap.mmap) -> Any:
    """Reducer of the mapping of a segment, for a child that is forked."""
    segment = segments.mapped[mapping]
    session = sessions.current()
    if segments.live.get(segment.name) is not segment:
        # Its name was taken away, so nobody could ask the client for it.
        segment.share()
    elif segment.state is State.PRIVATE:
        _tell(segment, wait=False)
    if segment.state is State.HOME:
        segment.oid = homes.oid(segment.name, session)
    popen: Any = context.get_spawning_popen()
    sharing.hand_over(session, segment.hold(), popen.uid)
    ask = segment.ask or segment.state is State.HOME
    return _map, (segment.name, segment.oid, segment.size, ask)


def _map(name: str, oid: str, size: int, ask: bool) -> mmap.mmap:
    segment = segments.live.get(name)
    if segment is None or segment.oid != oid:
        segment = segments.live[name] = Segment(name, State.WAITING, size, segments.nameless(size))
        segment.wait(sharing.take(sessions.current(), oid), ask=ask)
    mapping = mmap.mmap(segment.descriptor(), size)
    segments.mapped[mapping] = segment
    return mapping


def _inherit(cls: Any, attributes: dict[str, Any], mapping: mmap.mmap | None) -> Any:
    """The handle that a forked child has."""
    self = cls.__new__(cls)
    vars(self).update(attributes)
    if mapping is not None:
        segment = segments.mapped[mapping]
        self._fd = os.dup(segment.descriptor())
        self._mmap = mapping
        self._buf = memoryview(mapping)
        segment.handles.add(self)
    return self


def register(stock: Callable[[str, str], None]) -> Callable[[str, str], None]:
    """`resource_tracker.register`: only files of this machine are its to remove."""

    def register(path: str, rtype: str) -> None:
        if rtype == "shared_memory":
            if not _is_file(path):
                return
            homes.tracked.add(path.lstrip("/"))
        stock(path, rtype)

    return register


def unregister(stock: Callable[[str, str], None]) -> Callable[[str, str], None]:
    """`resource_tracker.unregister`."""

    def unregister(path: str, rtype: str) -> None:
        if rtype == "shared_memory":
            if not _is_file(path):
                return
            homes.tracked.discard(path.lstrip("/"))
        stock(path, rtype)

    return unregister


def _is_file(path: str) -> bool:
    return _at_home() and path.lstrip("/") not in _place.untracked


def _before_fork() -> None:
    # Without a session, what the child becomes is not known: a supervisor's child is no kin.
    _place.next_at_home = sessions.attached() is not None and _at_home()


def _after_fork_in_child() -> None:
    _place.home = _place.next_at_home and not sessions.started_beside()
    if sessions.started_beside():
        _place.private.clear()
        segments.live.clear()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
