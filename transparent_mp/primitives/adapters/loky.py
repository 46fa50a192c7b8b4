"""Loky's leaves, for loky itself and for the copy within joblib: its executors run on workers unchanged.

Loky has its own Popen, semaphores, queues and reducers beside multiprocessing's, and a resource
tracker that cleans up after them. Here

    Popen       pickles by loky's own rules (by value; `__main__` is imported for loky_init_main
                only) and submits, as for every other start method
    SemLock     stands on ours, which has no name to track or unlink
    Queue       is ours, with loky's pickler and its customised reducers; so is SimpleQueue

Everything named here is replaced in both packages by the same rows, so what differs between them
is found through the original that a replacement wraps.

Unlike loky's own, killing a process does not look for its descendants: those run on other workers,
and end with the session.

It does not know joblib's reducers for large arrays: `joblib` does.
"""

from __future__ import annotations

import importlib
import io
import os
import socket
import sys
from collections.abc import Callable
from multiprocessing import connection, context, popen_spawn_posix, reduction, util
from typing import Any

from transparent_mp.primitives import inherited, pids, popen, queues, spawn
from transparent_mp.primitives.context import is_manager_server
from transparent_mp.primitives.synchronize import SemLock

_context: Any = context
_util: Any = util
_MAIN = ("init_main_from_name", "init_main_from_path", "main_digest")


class Popen(popen.RemotePopen):
    """A LokyProcess on a worker, seen from its parent."""

    method = "loky"

    def __init__(self, process_obj: Any, backend: str) -> None:
        self._backend = backend
        super().__init__(process_obj)

    def _environ(self, process_obj: Any) -> dict[str, str]:
        return {**os.environ, **process_obj.env}

    def _pickled(self, process_obj: Any) -> tuple[bytes, bytes]:
        prepared = spawn.get_preparation_data(process_obj.name)
        # Loky's processes have the default method until they choose one.
        del prepared["start_method"]
        if not process_obj.init_main_module:
            for key in _MAIN:
                prepared.pop(key, None)
        pickled = io.BytesIO()
        importlib.import_module(self._backend + ".reduction").dump(process_obj, pickled)
        return bytes(reduction.ForkingPickler.dumps(prepared)), pickled.getvalue()


def choose_popen(stock: Any) -> Any:
    """`LokyProcess._Popen`."""
    backend = stock.__func__.__module__.rpartition(".")[0]

    def start(process_obj: Any) -> Any:
        if is_manager_server(process_obj):
            return popen.start_beside(popen_spawn_posix.Popen, process_obj)
        return Popen(process_obj, backend)

    return staticmethod(start)


def kill_process_tree(process: Any, use_psutil: bool = True) -> None:
    """Unlike the original, kills that process only."""
    del use_psutil
    process.kill()
    process.join()


def semlock_init(self: Any, kind: int, value: int, maxvalue: int, name: str | None = None) -> None:
    """`SemLock.__init__` of loky: without a name that would have to be tracked."""
    self._semlock = SemLock(kind, value, maxvalue)
    self.name = name
    self._make_methods()
    _util.register_after_fork(self, _after_fork)


def _after_fork(lock: Any) -> None:
    lock._semlock._after_fork()


def semlock_getstate(self: Any) -> tuple[str, int, int, None]:
    """`SemLock.__getstate__` of loky."""
    _context.assert_spawning(self)
    semlock = self._semlock
    return semlock.share(), semlock.kind, semlock.maxvalue, None


def queue(stock: Any) -> Any:
    """Loky's Queue, which derives from ours."""
    dumps = sys.modules[stock.__module__].dumps

    class Queue(stock):  # type: ignore[misc]
        _rlock: Any

        def __getstate__(self) -> Any:
            _context.assert_spawning(self)
            self._rlock = self._wlock = queues.NoLock(self._rlock)
            self._shared = True
            return super().__getstate__()

        def __setstate__(self, state: Any) -> None:
            super().__setstate__(state)
            self._shared = True

        def _pickled(self, obj: Any) -> Any:
            return dumps(obj, reducers=self._reducers)

    return _named(Queue, stock)


def simple_queue(stock: Any) -> Any:
    """Loky's SimpleQueue."""

    class SimpleQueue(stock):  # type: ignore[misc]
        _rlock: Any

        def __getstate__(self) -> Any:
            _context.assert_spawning(self)
            self._rlock = self._wlock = queues.NoLock(self._rlock)
            return super().__getstate__()

    return _named(SimpleQueue, stock)


def _named(cls: type, stock: Any) -> type:
    # Pickled by the name under which the package has it.
    cls.__module__, cls.__qualname__, cls.__doc__ = stock.__module__, stock.__qualname__, stock.__doc__
    return cls


def reducers(stock: Any) -> dict[type, Callable[[Any], Any]]:
    """Loky's table of reducers: less those that send file descriptors."""
    chosen = {kind: reduce for kind, reduce in stock.items() if kind not in _DESCRIPTORS}
    return {**chosen, socket.socket: inherited.REDUCERS[socket.socket]}


#: A connection reduces itself; a bare `_socket.socket` cannot be pickled in plain Python either.
_DESCRIPTORS = {connection.Connection, socket.socket, socket.socket.__base__}


def cpus_of_group(stock: Any) -> Any:
    """`_cpu_count_cgroup(os_cpu_count)`: the limit of this machine does not hold for workers."""

    def cpu_count_cgroup(os_cpu_count: int) -> Any:
        return os_cpu_count if pids.parallelism() else stock(os_cpu_count)

    return cpu_count_cgroup


def physical_cores(stock: Any) -> Any:
    """`_count_physical_cores`, which answers (count, exception)."""

    def count_physical_cores(*args: Any) -> Any:
        count = pids.parallelism()
        return (count, None) if count else stock(*args)

    return count_physical_cores
