"""Large arrays of joblib's tasks: by value or by digest, where joblib writes them to a file that tasks map.

What a task sees is as it would be with a mapped file: an array of more than `max_nbytes`, or one that
is a view of a mapped file already, can be written as far as its mode allows, which by default is
not at all. In mode "r+" the writes of one task stay with that task; a file that the program has
mapped with "r+" or "w+" in order to collect results in it arrives read-only, so that the
attempt raises ValueError instead of being lost.

    by digest    what joblib would have written to a file, once in a call of Parallel: stored when a task
                 first refers to it, fetched once by each worker, gone when the array is; also a smaller
                 one from REPEATED on whose content a task of the same call has had before
    by value     all else: small ones, a part of a mapped file, and results

As with joblib's files, a large array that changes while a call is under way reaches tasks as it was first
sent; a smaller one, as in joblib, as it is.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
import threading
import weakref
from collections import Counter
from typing import Any

from transparent_mp.primitives import session as sessions
from transparent_mp.primitives import starter
from transparent_mp.ship import contents
from transparent_mp.store.content import BLOB
from transparent_mp.store.session import Session

#: Bytes from which on an array goes by digest: those that are a round trip of their own anyway.
LARGE = BLOB
#: In front of an array's bytes stands who sent it, so that no other sender means the same content.
_HEAD = 64
#: Bytes from which on it is looked whether a content has been sent before. Smaller: a digest for
#: arrays that are cheaper to send; larger: the y of every fit is sent with it.
REPEATED = 32 * 1024


def forward(self: Any, array: Any) -> Any:
    """`ArrayMemmapForwardReducer.__call__`: an array on its way to a task."""
    backing = _backing_memmap(self, array)
    if backing is not None:
        whole = backing.mode == "r" and array.nbytes == backing.nbytes
        send = _send_once if whole and array.nbytes >= LARGE else _send
        return send(self, array, writeable=backing.mode == "c")
    limit = self._max_nbytes
    if limit is None or array.dtype.hasobject or array.nbytes <= limit:
        if array.nbytes >= REPEATED and not array.dtype.hasobject and type(array).__name__ == "ndarray":
            return _send_repeated(self, array)
        return pickle.loads, (pickle.dumps(array, pickle.HIGHEST_PROTOCOL),)
    send = _send_once if array.nbytes >= LARGE else _send
    return send(self, array, writeable=self._mmap_mode != "r")


def backward(array: Any) -> Any:
    """`reduce_array_memmap_backward`: an array on its way back from a task."""
    # Whatever backs it is a file of the worker, if it is one at all.
    return _send(None, array, writeable=True)


def _send(_reducer: Any, array: Any, *, writeable: bool) -> Any:
    plain = sys.modules["numpy"].asarray(array)
    return receive, (pickle.dumps(plain, pickle.HIGHEST_PROTOCOL), writeable)


def receive(pickled: bytes, writeable: bool) -> Any:
    """The array that was sent by value."""
    return _as_allowed(pickle.loads(pickled), writeable)


def _send_once(reducer: Any, array: Any, *, writeable: bool) -> Any:
    call = _call(reducer)
    try:
        sent = call.arrays.get(array)
    except KeyError:
        sent = _store(array, *_content(array))
        call.sent(reducer, array, sent)
    return fetch, (*sent, writeable)


def _send_repeated(reducer: Any, array: Any) -> Any:
    call = _call(reducer)
    head, content, digest = _content(array)
    if (head, digest) not in call.contents:
        call.contents.add((head, digest))
        return _send(reducer, array, writeable=array.flags.writeable)
    try:
        again = call.arrays.get(array) == (head, digest)
    except KeyError:
        again = False
    if not again:
        call.sent(reducer, array, _store(array, head, content, digest))
    return fetch, (head, digest, array.flags.writeable)


class _Call:
    """What one call of Parallel, which joblib gives a folder of its own, has sent."""

    attribute = "_transparent_mp"

    def __init__(self, folder: str, arrays: Any) -> None:
        self.folder = folder
        #: Array -> its pickle without its bytes, and the digest of these.
        self.arrays = arrays
        #: The same of those that went by value.
        self.contents: set[tuple[bytes, str]] = set()
        #: Arrays of tasks that nobody keeps: multiprocessing's Pool, unlike loky, forgets them once sent.
        self.kept: list[Any] = []

    def sent(self, reducer: Any, array: Any, entry: tuple[bytes, str]) -> None:
        self.arrays.set(array, entry)
        if not reducer._unlink_on_gc_collect:
            self.kept.append(array)


def _call(reducer: Any) -> _Call:
    call = getattr(reducer, _Call.attribute, None)
    folder = reducer._temp_folder
    if call is None or call.folder != folder:
        call = _Call(folder, sys.modules[type(reducer).__module__]._WeakArrayKeyMap())
        setattr(reducer, _Call.attribute, call)
    return call


def _content(array: Any) -> tuple[bytes, bytearray, str]:
    """An array's pickle without its bytes, these behind who sends them, and their digest."""
    numpy: Any = sys.modules["numpy"]
    plain = numpy.asarray(array)
    if not (plain.flags.c_contiguous or plain.flags.f_contiguous):
        plain = numpy.ascontiguousarray(plain)
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(plain, 5, buffer_callback=buffers.append)
    content = bytearray(_HEAD + plain.nbytes)
    content[:_HEAD] = sessions.current().uid.encode().ljust(_HEAD, b"\0")
    content[_HEAD:] = buffers[0].raw()
    return head, content, hashlib.sha256(content).hexdigest()


def _store(array: Any, head: bytes, content: bytearray, digest: str) -> tuple[bytes, str]:
    session = sessions.current()
    _arrays.hold(digest)
    weakref.finalize(array, _arrays.drop, session, digest).atexit = False
    session.store.cast(*contents.put(session, {digest: content}, starter.current().stored))
    return head, digest


def fetch(head: bytes, digest: str, writeable: bool) -> Any:
    """The array that was sent by digest; its bytes are those of this worker's copy until they are written."""
    session = sessions.current()
    content = session.shelf(session, digest) if session.shelf else bytearray(contents.get(session, digest))
    array = pickle.loads(head, buffers=[memoryview(content)[_HEAD:]])
    return _as_allowed(array, writeable)


class _Arrays:
    """Digests that arrays of this process stand for; two may have the same bytes."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        # A finaliser may run in the middle of `hold`.
        self._lock = threading.RLock()

    def hold(self, digest: str) -> None:
        with self._lock:
            self._held[digest] += 1

    def drop(self, session: Session, digest: str) -> None:
        """An array is gone, and every task that had it: loky's keep their arguments, `_Call` others'."""
        with self._lock:
            self._held[digest] -= 1
            if self._held[digest] > 0 or sessions.attached() is not session:
                return
            del self._held[digest]
            starter.current().stored.discard(digest)
            key = session.keys("content", digest)
            session.store.soon(("DEL", key), ("SREM", session.keys("keys"), key))


_arrays = _Arrays()


def _as_allowed(array: Any, writeable: bool) -> Any:
    if not writeable:
        array.flags.writeable = False
    return array


def _backing_memmap(reducer: Any, array: Any) -> Any:
    joblib = sys.modules[type(reducer).__module__]
    found = joblib._get_backing_memmap(array)
    return found if isinstance(found, sys.modules["numpy"].memmap) else None
