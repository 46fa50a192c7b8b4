from __future__ import annotations

import ctypes
import mmap
import pickle
from multiprocessing import sharedctypes

import pytest

from transparent_mp.primitives import heap, reduction, views
from transparent_mp.store.session import new_id

np = pytest.importorskip("numpy")


@pytest.fixture
def sent(by_value, own_session):
    """What a forked child would have: here, over the very same memory."""

    def sent(obj):
        uid = new_id()
        found = pickle.loads(by_value(obj, uid))
        own_session.store.cast(own_session.script("forget", ("objects", "keys"), (
            own_session.keys.base, own_session.keys.any_object, uid, own_session.ttl
        )))  # fmt: skip
        return found

    return sent


@pytest.fixture
def raw(monkeypatch, shm):
    """A shared array of sharedctypes."""
    monkeypatch.setattr(sharedctypes.heap, "BufferWrapper", heap.BufferWrapper)
    return sharedctypes.RawArray("d", range(12))


VIEWS = {
    "frombuffer": lambda root: np.frombuffer(root),
    "as_array": lambda root: np.ctypeslib.as_array(root),
    "reshaped": lambda root: np.frombuffer(root).reshape(3, 4),
    "transposed": lambda root: np.frombuffer(root).reshape(3, 4).T[1:],
    "strided": lambda root: np.frombuffer(root)[2::3],
    "reversed": lambda root: np.frombuffer(root)[::-1],
    "of other type": lambda root: np.frombuffer(root, np.int32)[6:],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("place", ["elsewhere"], indirect=True)
@pytest.mark.usefixtures("place")
def test_an_array_stays_a_view(raw, sent, view):
    array = view(raw)
    other = sent(array)
    assert (other.shape, other.strides, other.dtype) == (array.shape, array.strides, array.dtype)
    assert (other == array).all()
    other[0] += 1
    assert (other == array).all()


@pytest.mark.usefixtures("place")
def test_a_view_of_a_named_segment(shm, sent):
    handle = shm(create=True, size=80)
    array = np.frombuffer(handle.buf)
    array[:] = range(10)
    other, part = sent((array, handle.buf[16:32]))
    other[3] = 30
    assert (array[3], part[:8]) == (30, array[2].tobytes())
    part[0] = 1
    assert handle.buf[16] == 1
    del array, other
    part.release()
    handle.close()
    handle.unlink()


@pytest.mark.parametrize("place", ["elsewhere"], indirect=True)
@pytest.mark.usefixtures("place")
def test_memoryviews_keep_format_and_shape(raw, sent):
    plain = memoryview(raw).cast("B")
    for view in (plain, plain.cast("d", (3, 4)), plain[8:24].cast("i")):
        other = sent(view)
        assert (other.shape, other.tolist()) == (view.shape, view.tolist())
    # As ctypes has it, in a format that memoryview names and does not read.
    other = sent(memoryview(raw))
    other[0] = 5.0
    assert raw[0] == 5.0


@pytest.mark.parametrize("place", ["elsewhere"], indirect=True)
@pytest.mark.usefixtures("place")
def test_what_is_read_only_stays_so(raw, sent):
    array = np.frombuffer(raw)
    array.flags.writeable = False
    assert not sent(array).flags.writeable


class Pair(ctypes.Structure):
    _fields_ = [("number", ctypes.c_int), ("values", ctypes.c_double * 3)]


@pytest.mark.parametrize("place", ["elsewhere"], indirect=True)
@pytest.mark.usefixtures("place")
def test_a_view_of_a_part_of_a_structure(raw, sent):
    pair = sharedctypes.RawValue(Pair, 1)
    array = np.frombuffer(pair.values)
    sent(array)[2] = 7
    assert pair.values[2] == 7


@pytest.mark.parametrize(
    "value",
    [np.arange(5.0), np.frombuffer(b"12345678"), np.frombuffer((ctypes.c_double * 3)()), np.arange(9)[::2]],
    ids=["own", "bytes", "ctypes", "view"],
)
def test_other_arrays_go_by_value(own_session, sent, value):
    other = sent(value)
    assert (other == value).all()
    if value.flags.writeable:
        other[0] += 1
        assert other[0] != value[0]


def test_elsewhere_than_at_a_start_all_goes_by_value(raw):
    array = np.frombuffer(raw)
    other = pickle.loads(reduction.dumps(array))
    other[0] += 1
    assert other[0] != array[0]


def test_a_mapping_of_the_program_s_own_is_refused_as_ever(own_session, by_value):
    with pytest.raises(TypeError, match="mmap"):
        by_value(mmap.mmap(-1, 10), new_id())
    assert views.reduce(mmap.mmap(-1, 10)) is NotImplemented
