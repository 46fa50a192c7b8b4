"""Views of shared memory that a fork inherits: numpy arrays and memoryviews over a buffer of ours.

A global `array = np.frombuffer(shared.get_obj())`, or one over `SharedMemory.buf`, is the shared memory in
a forked child too, where a pickle by value would be a copy that nobody else sees. What such a view stands
on is a ctypes object of sharedctypes, or the mapping of a named segment; the view goes as that and a place
in it.

An array over a file that it may write (numpy.memmap of mode "r+" or "w+") is opened again over there: what is
written to it goes to the client's file, when it is flushed, sent after or the process ends. What of it cannot
be opened by a place and a shape (every second element) arrives read-only, so that no write is lost unseen.
A view of anything else goes by value.

It does not know how what it stands on travels.
"""

from __future__ import annotations

import ctypes
import importlib
import mmap
import sys
from typing import Any

from transparent_mp.primitives import diff, segments, shared_memory

#: Names of the types that `reduce` looks at.
KINDS = frozenset({"ndarray", "memoryview", "mmap", "memmap"})


def reduce(obj: Any) -> Any:
    """Reduction of a view of shared memory; NotImplemented for anything else."""
    if not shared_memory.by_fork():
        return NotImplemented
    if type(obj) is mmap.mmap:
        return shared_memory.reduce_mapping(obj) if _is_shared(obj) else NotImplemented
    if type(obj) is memoryview:
        return _reduce_memoryview(obj)
    numpy = sys.modules.get("numpy")
    if numpy is None or type(obj) not in (numpy.ndarray, numpy.memmap):
        return NotImplemented
    return _reduce_array(numpy, obj)


def _reduce_array(numpy: Any, array: Any) -> Any:
    root = array
    while type(root) is numpy.ndarray:
        root = root.base
    if type(root) is numpy.memmap:
        return _reduce_mapped(numpy, array, root)
    root = _shared(root)
    if root is None:
        return NotImplemented
    offset = array.__array_interface__["data"][0] - _address(root)
    return _array, (root, offset, array.shape, array.strides, array.dtype, array.flags.writeable)


def _reduce_mapped(numpy: Any, array: Any, mapped: Any) -> Any:
    if mapped.mode not in ("r+", "w+") or mapped.filename is None or not array.flags.writeable:
        return NotImplemented
    order = "C" if array.flags.c_contiguous else "F"
    if not array.flags.forc or not array.size:
        return _read_only, (numpy.array(array),)
    # Relative to the mapping, which begins at a whole number of the kernel's units.
    begin = mapped.offset - mapped.offset % mmap.ALLOCATIONGRANULARITY
    at = array.__array_interface__["data"][0] - diff.address(mapped._mmap)
    return _mapped, (mapped.mode, str(mapped.filename), array.dtype, begin + at, array.shape, order)


def _mapped(mode: str, filename: str, dtype: Any, offset: int, shape: tuple[int, ...], order: str) -> Any:
    # "w+" would make the file anew.
    array = importlib.import_module("numpy").memmap(filename, dtype, "r+", offset, shape, order)
    array.mode = mode
    return array


def _read_only(array: Any) -> Any:
    array.flags.writeable = False
    return array


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
