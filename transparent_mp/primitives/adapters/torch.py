"""Tensors on their way to another process: by value, where torch sends file descriptors.

    tensor           its storage's bytes; tensors of one pickle that share a storage share it there too
    share_memory_()  the storage becomes a segment when it is first sent: every process works on its own
                     replica, kept coherent as `memory` says, so in-place updates (Hogwild) are seen
    CUDA             refused: a handle of this machine's GPU means nothing on another

Torch maps a shared storage from a descriptor; the replica maps the same descriptor a second time,
so that neither's end takes the memory from under the other.

Unlike torch's own, sending a tensor does not make it shared, and a view of less than half of a large
storage takes only its own part along. Under `fork` a tensor in the middle of an autograd graph
arrives as a leaf. Torch from 2.1 on, whose storages are one Python object each.

It does not know what a segment is made of.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import threading
import weakref
from multiprocessing import context
from typing import Any, Callable

from transparent_mp.primitives import diff, memory, sharing
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.heap import map_private

#: Storages up to this size go whole with every view of them. Larger: more bytes are sent that nobody
#: asked for; smaller: more views lose what they share.
WHOLE = 1024 * 1024

_ATTRIBUTE = "_transparent_mp"


def reduce_storage(stock: Any) -> Callable[[Any], Any]:
    """`reduce_storage`, registered with ForkingPickler for untyped storages."""

    def reduce(storage: Any) -> Any:
        if storage.device.type != "cpu":
            return stock(_refused(storage))
        shared = getattr(storage, _ATTRIBUTE, None)
        if shared is not None:
            return shared.reduce()
        return rebuild_storage, (ctypes.string_at(storage.data_ptr(), storage.nbytes()),)

    return reduce


def rebuild_storage(content: bytes) -> Any:
    """A storage of its own with that content."""
    storage = _torch().UntypedStorage(len(content))
    ctypes.memmove(storage.data_ptr(), content, len(content))
    return storage


def reduce_tensor(stock: Any) -> Callable[[Any], Any]:
    """`reduce_tensor`, registered with ForkingPickler for tensors and parameters."""

    def reduce(tensor: Any) -> Any:
        _refused(tensor)
        if tensor.requires_grad and not tensor.is_leaf and _forking():
            tensor = tensor.detach().requires_grad_()
        part = _part(tensor)
        if part is None:
            return stock(tensor)
        rebuild, (kind, _, (_, size, stride, requires_grad)) = stock(tensor)
        return rebuild, (kind, part._typed_storage(), (0, size, stride, requires_grad))

    return reduce


def reduce_event(_event: Any) -> Any:
    """`reduce_event`, registered with ForkingPickler for CUDA events."""
    raise RuntimeError("a CUDA event cannot be sent to a process: it is of this machine's GPU")


def _new_shared(cls: Any, size: int, *, device: Any = "cpu") -> Any:
    return cls(size, device=device)


#: `UntypedStorage._new_shared`, of which DataLoader's workers make their batches: they go by value.
new_shared = classmethod(_new_shared)


def share_memory(stock: Any) -> Callable[..., Any]:
    """`UntypedStorage.share_memory_`."""

    def share_memory_(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.device.type != "cpu":
            return stock(self, *args, **kwargs)
        with _shared.lock:
            if self.nbytes() and not self.is_shared():
                # Whatever the sharing strategy is: a descriptor is what can be mapped again.
                fd, size = self._share_fd_cpu_()
                _Shared(self, _Mapping(fd, size))
        return self

    return share_memory_


class _Mapping:
    """The memory of a shared storage, as a replica's."""

    def __init__(self, fd: int, size: int) -> None:
        self._buffer = mmap.mmap(fd, size)
        self.view = memoryview(self._buffer)

    def isolate(self) -> None:
        # The child of a real fork has the parent's storage, whose changes the parent exchanges.
        content = self.view.tobytes()
        map_private(diff.address(self._buffer), len(self._buffer))
        self.view[:] = content

    def free(self) -> None:
        self.view.release()
        self._buffer.close()


class _Shared:
    """That a storage is shared; lives as long as the storage, which has it as an attribute."""

    def __init__(self, storage: Any, mapping: _Mapping) -> None:
        self.storage = weakref.ref(storage)
        self._mapping = mapping
        self._replica: Any = None
        setattr(storage, _ATTRIBUTE, self)

    def reduce(self) -> Any:
        session = sessions.current()
        with _shared.lock:
            if self._replica is None:
                self.join(memory.share(self._mapping))
        receiver = getattr(context.get_spawning_popen(), "uid", None)
        token = sharing.hand_over(session, self._replica.hold, receiver)
        return rebuild_shared, (self._replica.oid, len(self._mapping.view), token)

    def join(self, replica: Any) -> None:
        """Keep `replica`, which exchanges this storage's memory."""
        self._replica = replica
        _shared.by_oid[replica.oid] = self


class _SharedStorages:
    """Which storages of this process are segments."""

    def __init__(self) -> None:
        self.by_oid: weakref.WeakValueDictionary[str, _Shared] = weakref.WeakValueDictionary()
        self.lock = threading.RLock()

    def after_fork_in_child(self) -> None:
        # Another thread of the parent may have held it.
        self.lock = threading.RLock()


_shared = _SharedStorages()
os.register_at_fork(after_in_child=_shared.after_fork_in_child)


def rebuild_shared(oid: str, size: int, token: str) -> Any:
    """This process's storage of a segment: the same one each time."""
    with _shared.lock:
        known = _shared.by_oid.get(oid)
        storage = known.storage() if known is not None else None
        if storage is not None:
            sharing.take(sessions.current(), oid, 0, token)
            return storage
        # Needs no /dev/shm, which workers may lack.
        fd = os.memfd_create("torch")
        try:
            os.ftruncate(fd, size)
            storage = _torch().UntypedStorage._new_shared_fd_cpu(fd, size)
            mapping = _Mapping(fd, size)
        finally:
            os.close(fd)
        _Shared(storage, mapping).join(memory.replicate(oid, mapping, token))
        return storage


def _part(tensor: Any) -> Any:
    """A storage's part under a tensor, as a tensor of its own; None if the storage is to go whole."""
    torch = _torch()
    if tensor.is_nested or tensor.layout is not torch.strided or tensor.device.type != "cpu":
        return None
    storage = tensor.untyped_storage()
    if storage.nbytes() <= WHOLE or not tensor.numel() or hasattr(storage, _ATTRIBUTE):
        return None
    span = 1 + sum((size - 1) * stride for size, stride in zip(tensor.size(), tensor.stride()))
    if 2 * span * tensor.element_size() >= storage.nbytes():
        return None
    return tensor.detach().as_strided((span,), (1,), tensor.storage_offset()).clone()


def _refused(obj: Any) -> Any:
    if obj.is_cuda:
        raise RuntimeError(
            "a CUDA tensor cannot be sent to a process, which runs on another machine: send tensor.cpu(), "
            "and move it to that machine's device there"
        )
    return obj


def _forking() -> bool:
    return getattr(context.get_spawning_popen(), "method", "") == "fork"


def _torch() -> Any:
    return sys.modules["torch"]
