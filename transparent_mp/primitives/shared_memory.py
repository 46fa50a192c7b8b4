"""`multiprocessing.shared_memory.SharedMemory` for processes that share no machine.

The class is CPython's. Replaced are its leaf, `shm_open` and `shm_unlink`; `name`, since a segment that
nobody can know the name of needs no session; `buf`, since contents travel when they are first looked
at; and its pickling for a forked child, which in plain Python inherits the mapping and not the name.

    __init__    binds the segment that the leaf has opened to its mapping
    name        the session knows the segment from here on
    buf         the contents are here from here on

What the leaf does is in `posixshmem`; what a segment is, and which states it has, in `segments`.
"""

from __future__ import annotations

import errno
import functools
import mmap
import os
from multiprocessing import context
from typing import Any, Callable

from transparent_mp.primitives import homes, segments, sharing, unnamed
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.posixshmem import at_home, place, tell
from transparent_mp.primitives.segments import Segment, State


def init(stock: Callable[..., None]) -> Callable[..., None]:
    """`SharedMemory.__init__`."""

    @functools.wraps(stock)
    def __init__(self: Any, name: Any = None, create: bool = False, size: int = 0, **more: Any) -> None:  # noqa: N807
        before = unnamed.allow(create and name is None)
        try:
            stock(self, name, create, size, **more)
        except BaseException:
            place.opening.pop(self._fd, None)
            raise
        finally:
            unnamed.allow(before)
        _opened(self, chosen=name is not None)

    return __init__


def _opened(handle: Any, *, chosen: bool) -> None:
    segment = place.opening.pop(handle._fd)
    segment.size = handle._size
    before = segments.live.get(segment.name)
    segment.handles.add(handle)
    segments.mapped[handle._mmap] = segment
    segments.live[segment.name] = segment
    if segment.state is State.HOME and not homes.is_known(segment.name):
        homes.add(segment.name, segment.size, wait=False)
    if segment.state is State.PRIVATE and chosen and not tell(segment, wait=True):
        handle.close()
        place.private.pop(segment.name, None)
        if before is not None:
            segments.live[segment.name] = before
        if at_home():
            homes.remove(segment.name)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), handle._name)


def name(stock: property) -> property:
    """`SharedMemory.name`: who asks for it may tell it to others."""

    def get(self: Any) -> Any:
        if place.private:
            segment = place.private.get((self._name or "").lstrip("/"))
            if segment is not None:
                tell(segment, wait=False)
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
        tell(segment, wait=False)
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
