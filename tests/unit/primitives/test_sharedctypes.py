from __future__ import annotations

import ctypes
import gc
import multiprocessing as mp
import pickle
from multiprocessing import sharedctypes, synchronize

import pytest

from transparent_mp.primitives import memory
from transparent_mp.store.session import new_id

pytestmark = pytest.mark.usefixtures("ours")


class Derived(ctypes.c_int):
    """Its elements are parts of the memory."""


class Pair(ctypes.Structure):
    _fields_ = (("left", ctypes.c_int), ("right", ctypes.c_int))


RIDING = {
    "value": lambda: mp.Value("i", 3),
    "array": lambda: mp.Array("d", range(1000)),
    "string": lambda: mp.Array("c", b"some"),
    "a lock of the program's": lambda: mp.Value("i", 3, lock=mp.Lock()),
}
FOLLOWING = {
    "no lock": lambda: mp.Value("i", 3, lock=False),
    "a raw one": lambda: mp.RawArray("d", 10),
    "a structure": lambda: mp.Value(Pair, 1, 2),
    "an array of structures": lambda: mp.Array(Pair, 3),
    "a derived type": lambda: mp.Array(Derived, 3),
    "another lock": lambda: mp.Value("i", 3, lock=mp.Semaphore(2)),
    "the program's own object": lambda: sharedctypes.synchronized(sharedctypes.RawValue("i", 3)),
}


def kinds(found):
    return pytest.mark.parametrize("make", found.values(), ids=found.keys())


def counts():
    gc.collect()
    memory._engine._replicas()
    return len(memory._engine.attached), len(memory._engine._chosen(())[1])


@pytest.fixture
def shared(pickled):
    """Pickles an object for a process and says how many segments there are more, and how many follow."""
    before = counts()

    def share(obj):
        share.pickle = pickled(obj, new_id())
        return tuple(now - was for now, was in zip(counts(), before))

    return share


@kinds(RIDING)
def test_rides_on_its_lock(make, shared):
    made = make()
    assert shared(made) == (1, 0)
    assert len(made.get_lock()._semlock.riders) == 1


@kinds(FOLLOWING)
def test_follows(make, shared):
    made = make()
    assert shared(made) == (1, 1)


def test_is_published_when_its_lock_is_released_and_not_before(shared):
    value = mp.Value("i", 3)
    shared(value)
    lock = value.get_lock()._semlock
    with value:
        value.value = 4
        assert not memory.publish()
        assert len(memory.publish(lock.riders)) == 1
    assert not memory.publish(lock.riders)


@pytest.mark.parametrize("when", ["before it is shared", "after"])
def test_follows_once_its_buffer_is_taken(shared, when):
    array = mp.Array("i", [1, 2, 3])
    if when == "after":
        assert shared(array) == (1, 0)
    raw = array.get_obj()
    assert shared(array) == (1, 1)
    assert not array.get_lock()._semlock.riders
    raw[0] = 5
    assert memory.publish()
    assert array.get_obj() is raw
    assert array[:] == [5, 2, 3]


def test_what_looks_at_it_does_not_take_it_out(shared):
    array = mp.Array("i", [1, 2, 3])
    repr(array), len(array), array[0], array[:], list(array)
    array[1] = 7
    assert shared(array) == (1, 0)


def test_the_pickle_of_one_that_rides_makes_one_that_rides(shared):
    array = mp.Array("i", [1, 2, 3])
    shared(array)
    again = pickle.loads(shared.pickle)
    assert type(again) is type(array) is sharedctypes.SynchronizedArray
    assert type(again.get_lock()) is synchronize.RLock
    assert counts()[1] == 0
    array[1] = 9
    assert again[:] == [1, 9, 3]
    again.get_obj()
    assert counts()[1] == 1


def test_a_buffer_that_is_pickled_by_itself_follows_where_it_arrives(shared, pickled):
    array = mp.Array("i", [1, 2, 3])
    raw, both = array._data, pickled((array, array.get_obj()), new_id())
    assert counts()[1] == 1
    again, other = pickle.loads(both)
    other[0] = 8
    assert again[0] == raw[0] == 8


def test_who_holds_the_lock_does_not_take_it_again(shared, monkeypatch):
    array, value, text = mp.Array("i", 3), mp.Value("i", 3), mp.Array("c", b"abc")
    with array, value, text:
        for one in (array, value, text):
            monkeypatch.setattr(one._lock._semlock, "_acquired", 1)
            one.acquire = one.release = one._lock.acquire = None
        array[0] = 4
        value.value += 1
        text.value = b"de"
        assert (array[0], value.value, text.value, text.raw) == (4, 4, b"de", b"de\0")


def test_who_does_not_hold_the_lock_waits_for_it(waiting):
    array = mp.Array("i", 3)
    array.acquire()
    found = waiting(lambda: array[0])
    assert not found.done()
    array.release()
    assert found.result(20) == 0


def test_a_lock_that_is_not_recursive_is_taken_each_time(waiting):
    value = mp.Value("i", 3, lock=mp.Lock())
    with value.get_lock():
        found = waiting(lambda: value.value)
        assert not found.done()
    assert found.result(20) == 3


def test_what_is_written_under_a_lock_that_is_held_is_polled(shared):
    value = mp.Value("i", 3)
    shared(value)
    with value:
        value.value = 4
        memory._engine.poll()
        assert not memory.publish(value.get_lock()._semlock.riders)


def test_an_end_of_the_process_publishes_what_is_held(shared):
    value = mp.Value("i", 3)
    shared(value)
    with value:
        value.value = 4
        assert len(memory.publish(memory._engine.attached)) == 1


def test_a_value_that_is_gone_leaves_its_lock_behind(shared):
    lock = mp.RLock()
    value = mp.Value("i", 3, lock=lock)
    assert shared(value) == (1, 0)
    value = None
    shared(None)
    assert counts() == counts()
    assert [ref() for ref in lock._semlock.riders] == [None]
    other = mp.Value("i", 3, lock=lock)
    shared(other)
    assert [ref() for ref in lock._semlock.riders] == [other._data._wrapper._replica]
