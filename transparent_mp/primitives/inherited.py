"""Reducers for what a fork inherits and pickle refuses: locks, thread-locals, weak references, files.

Each gives an object in a like state, or refuses with the reason. They are used by `ForkPickler` alone:
under `spawn` the same objects fail as they always did.

It does not know the primitives of multiprocessing: those register reducers of their own.
"""

from __future__ import annotations

import io
import socket
import sys
import threading
import types
import weakref
from collections.abc import Iterator
from typing import Any, Callable

from transparent_mp.originals import original

_LOCK = type(threading.Lock())
_RLOCK = type(threading.RLock())
_STREAMS = ("stdin", "stdout", "stderr")


def _reduce_lock(lock: Any) -> Any:
    return _new_lock, (lock.locked(),)


def _new_lock(locked: bool) -> Any:
    lock = threading.Lock()
    if locked:
        lock.acquire()
    return lock


def _reduce_rlock(lock: Any) -> Any:
    # One that another thread holds comes free: that thread does not exist over there, so that the
    # faithful copy could never be acquired again.
    return _new_rlock, (lock._is_owned() and _depth(lock),)


def _depth(lock: Any) -> int:
    # "<locked _thread.RLock object owner=... count=2 at ...>"; _recursion_count() came with 3.11.
    return int(repr(lock).partition(" count=")[2].partition(" ")[0])


def _new_rlock(depth: int) -> Any:
    lock = threading.RLock()
    for _ in range(depth):
        lock.acquire()
    return lock


def _reduce_local(local: threading.local) -> Any:
    return threading.local, (), dict(local.__dict__)


def _reduce_ref(ref: Any) -> Any:
    target = ref()
    # By functions of ours: before 3.10 the type cannot be asked for by its own name.
    return (_dead_ref, ()) if target is None else (_new_ref, (target,))


def _new_ref(target: Any) -> Any:
    return weakref.ref(target)


class _Dead:
    pass


def _dead_ref() -> Any:
    return weakref.ref(_Dead())


def _reduce_weak_map(refs: Any) -> Any:
    return type(refs), (), None, None, iter(list(refs.items()))


def _reduce_file(file: Any) -> Any:
    standard = _standard(file)
    if standard:
        return _stream, (standard, not isinstance(file, io.TextIOBase))
    if file.closed:
        raise TypeError(f"cannot send {file!r}: it is closed")
    if not isinstance(file.name, str):
        raise TypeError(f"cannot send {file!r}: it has no path by which to open it again")
    if not file.readable():
        file.flush()
    how: dict[str, Any] = {}
    if isinstance(file, io.TextIOBase):
        how = {key: getattr(file, key) for key in ("encoding", "errors")}
    elif isinstance(file, io.RawIOBase):
        how = {"buffering": 0}
    return _open_again, (file.name, _mode(file), file.tell(), how)


def _standard(file: Any) -> str:
    """Name of the process's own stream that `file` writes to or reads."""
    for name in _STREAMS:
        if file is getattr(sys, f"__{name}__"):
            return name
    try:
        fd = file.fileno()
    except (OSError, ValueError):
        return ""
    return _STREAMS[fd] if fd < len(_STREAMS) else ""


def _stream(name: str, binary: bool) -> Any:
    stream = getattr(sys, f"__{name}__") or getattr(sys, name)
    return stream.buffer if binary else stream


def _mode(file: Any) -> str:
    """What opens the file again without emptying it."""
    raw = getattr(file, "buffer", file)
    mode = str(getattr(raw, "raw", raw).mode).replace("b", "")
    mode = mode if mode[0] in "ra" else "r+"
    return mode if isinstance(file, io.TextIOBase) else mode + "b"


def _open_again(path: str, mode: str, position: int, how: dict[str, Any]) -> Any:
    # The caller of the unpickled object closes it, as it does after a fork.
    file = open(path, mode, **how)  # noqa: SIM115
    if "a" not in mode:
        file.seek(position)
    return file


def _refuse(why: str) -> Callable[[Any], Any]:
    def reduce(obj: Any) -> Any:
        raise TypeError(f"cannot send {type(obj).__name__!r} object: {why}")

    return reduce


_RUNNING = _refuse("its frame is running in this process")

#: By exact type.
REDUCERS: dict[type, Callable[[Any], Any]] = {
    _LOCK: _reduce_lock,
    _RLOCK: _reduce_rlock,
    threading.local: _reduce_local,
    weakref.ref: _reduce_ref,
    weakref.WeakValueDictionary: _reduce_weak_map,
    weakref.WeakKeyDictionary: _reduce_weak_map,
    io.TextIOWrapper: _reduce_file,
    io.BufferedReader: _reduce_file,
    io.BufferedWriter: _reduce_file,
    io.BufferedRandom: _reduce_file,
    # What stands in its place makes ones of the real type.
    original("io", "FileIO"): _reduce_file,
    socket.socket: _refuse("an open socket belongs to the machine that opened it"),
    types.GeneratorType: _RUNNING,
    types.CoroutineType: _RUNNING,
    types.AsyncGeneratorType: _RUNNING,
    types.FrameType: _RUNNING,
}


def children(obj: Any) -> Iterator[tuple[str, Any]]:
    """What hangs on `obj`, each with the text that leads there from it: `.name`, `[key]`."""
    if isinstance(obj, dict):
        yield from ((repr([key]), value) for key, value in list(obj.items()))
        return
    if isinstance(obj, (list, tuple)):
        yield from ((repr([index]), value) for index, value in enumerate(obj))
        return
    if isinstance(obj, types.FunctionType):
        for name, cell in zip(obj.__code__.co_freevars, obj.__closure__ or ()):
            if cell != types.CellType():
                yield f", closure {name!r}", cell.cell_contents
        yield from ((f", default {index}", value) for index, value in enumerate(obj.__defaults__ or ()))
    if isinstance(obj, types.MethodType):
        yield ".__self__", obj.__self__
    attributes = getattr(obj, "__dict__", {})
    yield from ((f".{name}", value) for name, value in list(attributes.items()))
