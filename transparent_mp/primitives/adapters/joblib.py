"""Large arrays of joblib's tasks: by value, where joblib writes them to a file that tasks map.

What a task sees is as it would be with a mapped file: an array of more than `max_nbytes`, or one that
is a view of a mapped file already, can be written as far as its mode allows, which by default is
not at all. In mode "r+" the writes of one task stay with that task; a file that the program has
mapped with "r+" or "w+" in order to collect results in it arrives read-only, so that the
attempt raises ValueError instead of being lost.

`send` is the one place through which each of these arrays goes: where to send it by digest instead.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any


def forward(self: Any, array: Any) -> Any:
    """`ArrayMemmapForwardReducer.__call__`: an array on its way to a task."""
    backing = _backing_memmap(self, array)
    if backing is not None:
        return send(array, writeable=backing.mode == "c")
    limit = self._max_nbytes
    if limit is None or array.dtype.hasobject or array.nbytes <= limit:
        return pickle.loads, (pickle.dumps(array, pickle.HIGHEST_PROTOCOL),)
    return send(array, writeable=self._mmap_mode != "r")


def backward(array: Any) -> Any:
    """`reduce_array_memmap_backward`: an array on its way back from a task."""
    # Whatever backs it is a file of the worker, if it is one at all.
    return send(array, writeable=True)


def send(array: Any, *, writeable: bool) -> Any:
    """Reduce a large array."""
    plain = sys.modules["numpy"].asarray(array)
    return receive, (pickle.dumps(plain, pickle.HIGHEST_PROTOCOL), writeable)


def receive(pickled: bytes, writeable: bool) -> Any:
    """The array that `send` has reduced."""
    array = pickle.loads(pickled)
    if not writeable:
        array.flags.writeable = False
    return array


def _backing_memmap(reducer: Any, array: Any) -> Any:
    joblib = sys.modules[type(reducer).__module__]
    found = joblib._get_backing_memmap(array)
    return found if isinstance(found, sys.modules["numpy"].memmap) else None
