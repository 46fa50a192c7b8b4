"""Memory of Value, Array and Barrier: local like the standard library's, until it is shared.

A `BufferWrapper` is a block of the process's own heap. When it is first pickled for a process, its
block becomes a segment in the store and stays where it is, so ctypes objects, memoryviews and
numpy arrays over it keep their address; `memory` keeps it coherent from then on, by this model:

    1. A process reads and writes its own replica, at memory speed.
    2. A release (lock release, send, put, set, exit) publishes the bytes that it changed.
    3. An acquire (lock acquire, recv, get, wait, join, start) brings what was published before.
    4. Writers of different bytes never lose each other's writes, also without a lock.
    5. Without synchronisation, a write is seen within 50 ms or so.

docs/memory-model.md has the whole of it. Arenas are anonymous memory: no /dev/shm and no file is
needed, and zeros that were never written take no room.

Only the block that is pickled is shared, not its neighbours in the arena. A real fork shares local
blocks with the child as it always has; blocks that are segments become the child's own copy, which
the store keeps coherent.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import threading
import weakref
from multiprocessing import context, heap, util
from typing import Any

from transparent_mp.primitives import diff, forked, memory, riding, sharing
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.replica import Replica

#: From this size on a replica has an arena of its own: fresh memory, which is zero without being
#: written. Smaller: more mappings; larger: more to clear.
OWN_ARENA = 256 * 1024

#: Bytes of an arena that are copied at once for the child of a fork.
ISOLATE_CHUNK = 16 * 1024 * 1024

#: The same number on Linux and macOS; the mmap module does not have it.
MAP_FIXED = 0x10


class Arena:
    """Anonymous memory; shared with forked children, as the standard library's is, unless private."""

    def __init__(self, size: int, private: bool = False) -> None:
        self.size = size
        kind = mmap.MAP_PRIVATE if private else mmap.MAP_SHARED
        self.buffer = mmap.mmap(-1, size, flags=kind | mmap.MAP_ANONYMOUS)
        self._private = private

    def isolate(self) -> None:
        """In the child of a fork: put private memory with the same contents at the same address."""
        if not self._private:
            for start in range(0, self.size, ISOLATE_CHUNK):
                stop = min(start + ISOLATE_CHUNK, self.size)
                contents = self.buffer[start:stop]
                map_private(diff.address(self.buffer) + start, stop - start)
                if contents.count(0) < len(contents):
                    self.buffer[start:stop] = contents
            self._private = True


def map_private(address: int, size: int) -> None:
    """Put fresh memory, which nobody shares, where there was memory before."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_FIXED
    if _mmap(address, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0) != address:
        error = ctypes.get_errno()
        raise OSError(error, f"cannot give the forked process memory of its own: {os.strerror(error)}")


def map_file(fd: int, size: int) -> int:
    """Map a file, sharing it; returns the address. Unlike the mmap module, keeps no descriptor."""
    address = _mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd, 0)
    if address == _MAP_FAILED:
        error = ctypes.get_errno()
        raise OSError(error, f"cannot map {size} bytes of shared memory: {os.strerror(error)}")
    return int(address)


def unmap(address: int, size: int) -> None:
    """End what `map_file` made."""
    _munmap(address, size)


_MAP_FAILED = ctypes.c_void_p(-1).value
_munmap = ctypes.CDLL(None).munmap
_munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)

# The mmap module offers no way to say where.
_mmap = ctypes.CDLL(None, use_errno=True).mmap
_mmap.restype = ctypes.c_void_p
_mmap.argtypes = (
    ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
)  # fmt: skip


class Heap(heap.Heap):
    """The standard library's heap over anonymous arenas."""

    def _new_arena(self: Any, size: int) -> tuple[Arena, int, int]:
        arena = Arena(self._roundup(max(self._size, size), mmap.PAGESIZE))
        if self._size < self._DOUBLE_ARENA_SIZE_UNTIL:
            self._size *= 2
        util.info("allocating a new mmap of length %d", arena.size)
        self._arenas.append(arena)
        return arena, 0, arena.size


class BufferWrapper(heap.BufferWrapper):
    """A block of memory that processes share once it was pickled for one."""

    _heap = Heap()

    def __init__(self, size: int) -> None:
        if size < 0:
            raise ValueError(f"Size {size:n} out of range")
        if sys.maxsize <= size:
            raise OverflowError(f"Size {size:n} too large")
        used = BufferWrapper._heap
        block = used.malloc(size)
        self._state = (block, size)
        self._replica: Replica | None = None
        self._lock: riding.Lock | None = None
        self._owner = used
        self._freeing = util.Finalize(self, used.free, args=(block,))

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuild, self.hand_over()

    def hand_over(self) -> tuple[str, int, str]:
        """Object id, size and token for a pickle under way."""
        context.assert_spawning(self)
        with _wrappers.lock:
            replica = self._replica or self._share()
        receiver = getattr(context.get_spawning_popen(), "uid", None)
        token = sharing.hand_over(sessions.current(), replica.hold, receiver)
        return replica.oid, self._state[1], token

    def ride(self, lock: riding.Lock) -> None:
        """Before it is shared: from now on it is read and written by holders of `lock` only."""
        self._lock = lock

    def follow(self) -> None:
        """From now on it is read and written without a lock."""
        if self._lock is not None:
            with _wrappers.lock:
                self._lock = None
                if self._replica is not None:
                    memory.follow(self._replica)

    def _share(self) -> Replica:
        block, size = self._state
        # From here on the block goes with the replica, which may be in use a moment longer.
        self._freeing.cancel()
        self._replica = replica = memory.share(_Block(block, size, self._owner), self._lock)
        _wrappers.by_oid[replica.oid] = self
        return replica


class _Block:
    """The memory of a replica: a block of a heap, or an arena of its own."""

    def __init__(self, block: tuple[Any, int, int], size: int, owner: heap.Heap | None) -> None:
        self._arena, start, _stop = self.block = block
        self._owner = owner
        self._pid = os.getpid()
        self.view = memoryview(self._arena.buffer)[start : start + size]

    def isolate(self) -> None:
        self._arena.isolate()

    # Bound here: what outlives `__main__` is freed when this module's names, and the heap's, are gone.
    def free(self, _ending: Any = sys.is_finalizing) -> None:
        # The heap of a forked child begins anew, and does not know its parent's blocks.
        if self._owner is not None and not _ending() and os.getpid() == self._pid:
            self._owner.free(self.block)


class _Wrappers:
    """Which buffers of this process are segments."""

    def __init__(self) -> None:
        self.by_oid: weakref.WeakValueDictionary[str, BufferWrapper] = weakref.WeakValueDictionary()
        self.lock = threading.RLock()

    def after_fork_in_child(self) -> None:
        # Another thread of the parent may have held it.
        self.lock = threading.RLock()


_wrappers = _Wrappers()
forked.in_child(_wrappers.after_fork_in_child)


def rebuild(oid: str, size: int, token: str) -> BufferWrapper:
    """This process's buffer of a segment: the same one each time."""
    wrapper = rebuild_riding(None, oid, size, token)
    wrapper.follow()
    return wrapper


def rebuild_riding(lock: riding.Lock | None, oid: str, size: int, token: str) -> BufferWrapper:
    """The same, of one that rides on `lock` unless this process has it without."""
    with _wrappers.lock:
        wrapper = _wrappers.by_oid.get(oid)
        if wrapper is None:
            wrapper = BufferWrapper.__new__(BufferWrapper)
            block = _zeroed(size)
            wrapper._state = (block.block, size)
            wrapper._lock = lock
            wrapper._replica = memory.replicate(oid, block, token, lock)
            _wrappers.by_oid[oid] = wrapper
        else:
            sharing.take(sessions.current(), oid, 0, token)
        return wrapper


def _zeroed(size: int) -> _Block:
    if size >= OWN_ARENA:
        return _Block((Arena(size, private=True), 0, size), size, None)
    owner = BufferWrapper._heap
    arena, start, stop = block = owner.malloc(size)
    arena.buffer[start:stop] = bytes(stop - start)
    return _Block(block, size, owner)
