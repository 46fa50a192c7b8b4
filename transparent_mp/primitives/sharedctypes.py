"""`Value` and `Array`: CPython's, whose data rides on their own lock alone while nothing else reaches it.

    Value, Array          of simple types, with a Lock or RLock: reached through the wrapper only, whose
                          every access holds the lock. `memory` says what riding is.
    get_obj()             takes the buffer out: from then on it follows every synchronisation of this
                          process. Other processes, each by what it does itself, may still ride.
    everything else       RawValue, RawArray, structures (their parts can be kept and written later),
                          synchronized() over a program's own object, foreign locks: follows

An access by the thread that holds the lock already takes it no second time.

Unlike the standard library, an Array's `_obj` is a property, and means `get_obj()`.
"""

from __future__ import annotations

import ctypes
import threading
from multiprocessing import context, sharedctypes, synchronize
from typing import Any

from transparent_mp.primitives import heap
from transparent_mp.primitives.synchronize import RECURSIVE_MUTEX

# typeshed knows the public names only; ours stand on the others.
stock: Any = sharedctypes
# The module's own names will be ours.
_StockSynchronized: Any = stock.Synchronized
_StockSynchronizedArray: Any = stock.SynchronizedArray
_StockSynchronizedString: Any = stock.SynchronizedString
_stock_value, _stock_array = stock.Value, stock.Array
_Simple: Any = ctypes.c_int.__base__

_ident = threading.get_ident


class _Nobody:
    """Stands for a lock that its holder may not take again."""

    _owner = 0


class _Riding:
    """What the wrappers of a Value and an Array have in common."""

    _lock: Any
    #: The ctypes object.
    _data: Any
    #: Whether the data was made together with this wrapper, and the lock is one to ride on.
    _made = False
    #: The lock's semaphore, if whoever holds it may take it again.
    _reentrant: Any = _Nobody

    @property
    def _obj(self) -> Any:
        if self._made:
            self._data._wrapper.follow()
        return self._data

    @_obj.setter
    def _obj(self, data: Any) -> None:
        self._data = data

    def __reduce__(self) -> tuple[Any, ...]:
        context.assert_spawning(self)
        data = self._data
        if not self._made:
            return stock.synchronized, (data, self._lock)
        # The lock first: it has moved to the store when the data does.
        buffer = _Buffer(data._wrapper, self._lock)
        if isinstance(data, ctypes.Array):
            return rebuild, (self._lock, buffer, data._type_, data._length_)
        return rebuild, (self._lock, buffer, type(data), None)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} wrapper for {self._data}>"

    def ride(self) -> None:
        """The data is this wrapper's alone."""
        semlock = self._lock._semlock
        self._made = True
        if semlock.kind == RECURSIVE_MUTEX:
            self._reentrant = semlock


def _locked(name: str) -> property:
    """The ctypes object's attribute of that name, read and written with the lock held."""

    def get(self: Any) -> Any:
        if self._reentrant._owner == _ident():
            return getattr(self._data, name)
        self.acquire()
        try:
            return getattr(self._data, name)
        finally:
            self.release()

    def put(self: Any, value: Any) -> None:
        if self._reentrant._owner == _ident():
            setattr(self._data, name, value)
            return
        self.acquire()
        try:
            setattr(self._data, name, value)
        finally:
            self.release()

    return property(get, put)


class Synchronized(_Riding, _StockSynchronized):  # type: ignore[misc]
    """A ctypes object of a simple type with its lock."""

    value = _locked("value")


class SynchronizedArray(_Riding, _StockSynchronizedArray):  # type: ignore[misc]
    """A ctypes array with its lock."""

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, i: Any) -> Any:
        if self._reentrant._owner == _ident():
            return self._data[i]
        with self:
            return self._data[i]

    def __setitem__(self, i: Any, value: Any) -> None:
        if self._reentrant._owner == _ident():
            self._data[i] = value
            return
        with self:
            self._data[i] = value


class SynchronizedString(SynchronizedArray, _StockSynchronizedString):  # type: ignore[misc]
    """A ctypes array of characters with its lock."""

    value = _locked("value")
    raw = _locked("raw")


def Value(typecode_or_type: Any, *args: Any, lock: Any = True, ctx: Any = None) -> Any:  # noqa: N802
    """A ctypes object in shared memory, with its lock unless `lock` is False."""
    return _riding(_stock_value(typecode_or_type, *args, lock=lock, ctx=ctx))


def Array(typecode_or_type: Any, size_or_initializer: Any, *, lock: Any = True, ctx: Any = None) -> Any:  # noqa: N802
    """A ctypes array in shared memory, with its lock unless `lock` is False."""
    return _riding(_stock_array(typecode_or_type, size_or_initializer, lock=lock, ctx=ctx))


def _riding(made: Any) -> Any:
    if isinstance(made, _Riding) and type(made._lock) in (synchronize.Lock, synchronize.RLock):
        data = made._data
        kind = data._type_ if isinstance(data, ctypes.Array) else type(data)
        # What is read from a derived or a structured type is a part of the memory, not a copy.
        if kind.__base__ is _Simple:
            data._wrapper.ride(made._lock._semlock)
            made.ride()
    return made


class _Buffer:
    """The pickle of a buffer that rides on a lock."""

    def __init__(self, wrapper: heap.BufferWrapper, lock: Any) -> None:
        self._wrapper = wrapper
        self._lock = lock

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_buffer, (self._lock, *self._wrapper.hand_over())


def _rebuild_buffer(lock: Any, oid: str, size: int, token: str) -> heap.BufferWrapper:
    return heap.rebuild_riding(lock._semlock, oid, size, token)


def rebuild(lock: Any, wrapper: heap.BufferWrapper, kind: Any, length: int | None) -> Any:
    """The wrapper that a pickle names."""
    made = stock.synchronized(stock.rebuild_ctype(kind, wrapper, length), lock)
    made.ride()
    return made
