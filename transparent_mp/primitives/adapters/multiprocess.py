"""`multiprocess`, pathos' edition of multiprocessing that pickles with dill: the same leaves under its name.

The package is a copy of the standard library's, module by module. What of it shares nothing but a
name with the other becomes the standard library's own (`same`), in our edition: locks, memory, the
popen that is being launched, finalisers. What pickles stays its own, over our leaf:

    Process              goes by value under `fork`, by dill under `spawn` and `forkserver`
    Connection, queues   ours, which send and receive by the package's pickler
    Listener, Client     ours, whose connections are such ones
    managers, pools      the package's, untouched but for what the standard library's are

The main process is one for both packages, so its authkey is; a child is a child of the package that
started it.

It does not know dill: whichever pickler the package has is used.
"""

from __future__ import annotations

import importlib
import io
import sys
from multiprocessing import process, reduction, util
from typing import Any

from transparent_mp.originals import original
from transparent_mp.primitives import connection, listener, popen, queues, spawn
from transparent_mp.primitives.context import is_manager_server

_PACKAGE = "multiprocess"
_process: Any = process
_util: Any = util
_pickler: Any = reduction.ForkingPickler

#: `util._finalizer_registry`: a process's end runs what either package, or we, have registered.
finalizers = _util._finalizer_registry

#: `ForkingPickler._extra_reducers`: who registers with the standard library's means its own objects.
extra_reducers = _pickler._extra_reducers


def same(stock: Any) -> Any:
    """The standard library's object of the same module and name."""
    module = importlib.import_module("multiprocessing" + stock.__module__[len(_PACKAGE) :])
    return getattr(module, stock.__name__)


def current_process(_stock: Any) -> Any:
    """`process._current_process`, as it is while the package is being imported."""
    return _process._current_process


class _ByImport(popen.RemotePopen):
    """Pickled by the package, for a process that imports the main module again."""

    def _pickled(self, process_obj: Any) -> tuple[bytes, bytes]:
        pickled = io.BytesIO()
        sys.modules[_PACKAGE + ".reduction"].dump(process_obj, pickled)
        prepared = _pickler.dumps(spawn.get_preparation_data(process_obj.name))
        return bytes(prepared), pickled.getvalue()


class _Spawned(_ByImport):
    method = "spawn"


class _ForkServed(_ByImport):
    method = "forkserver"


def _choose(process_class: str, remote: Any) -> Any:
    def start(process_obj: Any) -> Any:
        if is_manager_server(process_obj, _PACKAGE):
            local = original(_PACKAGE + ".context", process_class + "._Popen").__func__
            return popen.start_beside(local, process_obj)
        return remote(process_obj)

    return staticmethod(start)


fork_popen = _choose("ForkProcess", popen.METHODS["fork"])
spawn_popen = _choose("SpawnProcess", _Spawned)
forkserver_popen = _choose("ForkServerProcess", _ForkServed)


def connection_class(stock: Any) -> Any:
    """`connection.Connection`."""

    class Connection(connection.Connection):
        send, recv = stock.send, stock.recv

        def __reduce__(self) -> tuple[Any, ...]:
            rebuild, *rest = super().__reduce__()
            return (_rebuild if rebuild is connection.rebuild else rebuild, *rest)

    return _named(Connection, stock)


def _rebuild(*args: Any) -> Any:
    return _own(connection.rebuild(*args))


def _own(end: Any) -> Any:
    """`end`, a connection, as one of the package's."""
    end.__class__ = importlib.import_module(_PACKAGE + ".connection").Connection
    return end


def Pipe(duplex: bool = True) -> tuple[Any, Any]:  # noqa: N802  the standard library's name
    """Both ends of a new pipe."""
    one, two = connection.Pipe(duplex)
    return _own(one), _own(two)


def listener_class(stock: Any) -> Any:
    """`connection.Listener`."""

    class Listener(listener.Listener):
        def accept(self) -> Any:
            return _own(super().accept())

    return _named(Listener, stock)


def Client(address: Any, family: str | None = None, authkey: bytes | None = None) -> Any:  # noqa: N802
    """Connect to the listener at `address`."""
    return _own(listener.Client(address, family, authkey))


def simple_queue(stock: Any) -> Any:
    """`queues.SimpleQueue`."""

    class SimpleQueue(queues.SimpleQueue):
        __init__ = stock.__init__
        get, put = stock.get, stock.put

    return _named(SimpleQueue, stock)


def queue(stock: Any) -> Any:
    """`queues.Queue` and `JoinableQueue`."""
    pickler = sys.modules[stock.__module__]._ForkingPickler
    ours: Any = getattr(queues, stock.__name__)

    class Queue(ours):  # type: ignore[misc]
        # These find the package's pipe, Queue and pickler in their module.
        __init__ = stock.__init__
        _start_thread = stock._start_thread
        _feed, _finalize_close = staticmethod(stock._feed), staticmethod(stock._finalize_close)

        def _pickled(self, obj: Any) -> Any:
            return pickler.dumps(obj)

        def _unpickled(self, content: Any) -> Any:
            return pickler.loads(content)

    return _named(Queue, stock)


def _named(cls: type, stock: Any) -> type:
    # Pickled by the name under which the package has it.
    cls.__name__, cls.__module__, cls.__qualname__ = stock.__name__, stock.__module__, stock.__qualname__
    cls.__doc__ = stock.__doc__
    return cls
