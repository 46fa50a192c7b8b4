"""Views of shared memory that a fork inherits: numpy arrays and memoryviews over a buffer of ours.

A global `array = np.frombuffer(shared.get_obj())`, or one over `SharedMemory.buf`, is the shared memory in
a forked child too, where a pickle by value would be a copy that nobody else sees. What such a view stands
on is a ctypes object of sharedctypes, or the mapping of a named segment; the view goes as that and a place
in it. A view of anything else goes by value.

It does not know how what it stands on travels.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import Any

from transparent_mp.primitives import diff, segments, shared_memory

#: Names of the types that `reduce` looks at.
KINDS = frozenset({"ndarray", "memoryview", "mmap"})


def reduce(obj: Any) -> Any:
    """Reduction of a view of shared memory; NotImplemented for anything else."""
    if not shared_memory.by_fork():
        return NotImplemented
    if type(obj) is mmap.mmap:
        return shared_memory.reduce_mapping(obj) if _is_shared(obj) else NotImplemented
    if type(obj) is memoryview:
        return _reduce_memoryview(obj)
    numpy = sys.modules.get("numpy")
    if numpy is None or type(obj) is not numpy.ndarray:
        return NotImplemented
    return _reduce_array(obj)


def _reduce_array(array: Any) -> Any:
    root = array
    while type(root) is type(array):
        root = root.base
    root = _shared(root)
    if root is None:
        return NotImplemented
    offset = array.__array_interface__["data"][0] - _address(root)
    return _array, (root, offset, array.shape, array.strides, array.dtype, array.flags.writeable)


def _array(
    root: Any, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: Any, writeable: bool
) -> Any:
    # Nothing tells when the program looks at it.
    _look(root)
    array = sys.modules["numpy"].ndarray(shape, dtype, root, offset, strides)
    array.flags.writeable = writeable
    return array


def _reduce_memoryview(view: memoryview) -> Any:
    root = _shared(view)
    if root is None or view.readonly or not view.c_contiguous or not view.nbytes:
        return NotImplemented
    offset = diff.address(view) - _address(root)
    return _memoryview, (root, offset, view.nbytes, view.format.lstrip("@<="), view.shape)


def _memoryview(root: Any, offset: int, size: int, form: str, shape: tuple[int, ...]) -> Any:
    _look(root)
    view: Any = memoryview(root).cast("B")[offset : offset + size]
    return view.cast(form) if len(shape) == 1 else view.cast(form, shape)


def _shared(root: Any) -> Any:
    """The shared object of ours that `root` is or is made of, or None."""
    if type(root) is memoryview:
        root = root.obj
    if type(root) is mmap.mmap:
        return root if _is_shared(root) else None
    # A part of a structure is not shared by itself.
    while root is not None and not hasattr(root, "_wrapper"):
        root = getattr(root, "_b_base_", None)
    return root


def _is_shared(mapping: mmap.mmap) -> bool:
    return shared_memory.is_inherited_by_fork(mapping)


def _address(root: Any) -> int:
    return diff.address(root) if type(root) is mmap.mmap else ctypes.addressof(root)


def _look(root: Any) -> None:
    segment = segments.mapped.get(root) if type(root) is mmap.mmap else None
    if segment is not None:
        segment.look()
