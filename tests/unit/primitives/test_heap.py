from __future__ import annotations

import ctypes
import gc
import json
import os
import pickle
import subprocess
import sys
from multiprocessing import context, sharedctypes

import pytest

from transparent_mp.primitives import heap, memory, sharing
from transparent_mp.store.session import new_id

# Programs fork as they like; the exchange's thread does not run in the child.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

#: A process of its own: takes part in the session and runs what it is told with `it`, the object.
CHILD = """
import json, pickle, sys
from transparent_mp.config import Config
from transparent_mp.primitives import memory, session
from transparent_mp.store.session import join
task = json.loads(sys.stdin.readline())
session.attach(join(task["ticket"], task["uid"], Config()))
it = pickle.loads(bytes.fromhex(task["object"]))
exec(task["code"])
session.current().store.call(*memory.publish(), ("PING",))
"""


class Spawning:
    """Stands for the Popen that pickles a process object."""

    def __init__(self, uid):
        self.uid = uid


def pickled(thing, uid):
    context.set_spawning_popen(Spawning(uid))
    try:
        # sharedctypes registers its reducers with multiprocessing's own pickler.
        return bytes(context.reduction.ForkingPickler.dumps(thing))
    finally:
        context.set_spawning_popen(None)


def start(session, thing, code):
    uid = new_id()
    task = {"ticket": session.ticket(), "uid": uid, "object": pickled(thing, uid).hex(), "code": code}
    session.store.settle()
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE)
    child.stdin.write(json.dumps(task).encode() + b"\n")
    child.stdin.close()
    return child


def run(session, thing, code):
    child = start(session, thing, code)
    assert child.wait() == 0
    memory.synchronise()


@pytest.fixture
def patched(monkeypatch):
    """CPython's sharedctypes over our buffers, as `intercept` arranges it."""
    monkeypatch.setattr("multiprocessing.heap.BufferWrapper", heap.BufferWrapper)
    return sharedctypes


class TestLocal:
    def test_it_is_the_standard_library_s_own_class_to_others(self):
        from multiprocessing.heap import BufferWrapper

        assert isinstance(heap.BufferWrapper(3), BufferWrapper)

    def test_its_memory_is_as_long_as_asked_for(self):
        view = heap.BufferWrapper(100).create_memoryview()
        assert (view.nbytes, view.format, view.readonly) == (100, "B", False)

    @pytest.mark.parametrize(("size", "error"), [(-1, ValueError), (sys.maxsize, OverflowError)])
    def test_impossible_sizes_are_refused_as_the_standard_library_does(self, size, error):
        with pytest.raises(error, match=r"Size .* (out of range|too large)"):
            heap.BufferWrapper(size)

    def test_it_needs_no_session_and_no_file(self, monkeypatch):
        monkeypatch.setattr("tempfile.mkstemp", None)
        wrapper = heap.BufferWrapper(1 << 30)
        assert wrapper.create_memoryview()[-1] == 0
        assert not memory.publish()

    def test_blocks_are_used_again(self):
        used = heap.BufferWrapper._heap
        wrapper = heap.BufferWrapper(1000)
        arena, start, _stop = wrapper._state[0]
        del wrapper
        again = heap.BufferWrapper(1000)
        assert again._state[0][:2] == (arena, start)
        assert used is heap.BufferWrapper._heap

    def test_it_is_pickled_for_processes_only(self):
        with pytest.raises(RuntimeError, match="should only be shared between processes through inheritance"):
            pickle.dumps(heap.BufferWrapper(8))

    def test_a_forked_child_shares_local_blocks_as_ever(self):
        view = heap.BufferWrapper(8).create_memoryview()
        child = os.fork()
        if child == 0:
            view[0] = 42
            os._exit(0)
        os.waitpid(child, 0)
        assert view[0] == 42


class TestShared:
    def test_a_process_sees_and_changes_it(self, quiet, patched):
        array = patched.RawArray(ctypes.c_double, [1.5, 2.5])
        where = ctypes.addressof(array)
        run(quiet, array, "assert list(it) == [1.5, 2.5]; it[1] = -3.25")
        assert list(array) == [1.5, -3.25]
        assert ctypes.addressof(array) == where

    def test_structures_and_values(self, quiet, patched):
        class Point(ctypes.Structure):
            _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]

        # A class that the child can import is not the point; its memory is.
        point = patched.RawValue(Point, 1, 2.0)
        run(quiet, point._wrapper, "v = it.create_memoryview(); v[0] = 7")
        assert (point.x, point.y) == (7, 2.0)

    def test_only_the_block_that_was_pickled_is_shared(self, quiet, patched):
        one, other = patched.RawValue("i", 1), patched.RawValue("i", 2)
        assert one._wrapper._state[0][0] is other._wrapper._state[0][0]
        run(quiet, one, "it.value = 10")
        assert (one.value, other.value) == (10, 2)
        assert other._wrapper._replica is None

    def test_numpy_sees_the_same_memory(self, quiet, patched):
        numpy = pytest.importorskip("numpy")
        array = patched.RawArray("d", 100_000)
        seen = numpy.frombuffer(array)
        seen[:] = numpy.arange(100_000)
        run(
            quiet,
            array,
            "import numpy; a = numpy.frombuffer(it); assert a[99_999] == 99_999; a *= 2; assert it[1] == 2",
        )
        assert (seen == 2 * numpy.arange(100_000)).all()

    def test_several_processes_write_their_own_parts(self, quiet, patched):
        array = patched.RawArray("b", 30_000)
        code = "for i in range({0}, 30_000, 3): it[i] = {0} + 1\n"
        children = [start(quiet, array, code.format(part)) for part in range(3)]
        assert [child.wait() for child in children] == [0, 0, 0]
        memory.synchronise()
        assert bytes(array) == b"\1\2\3" * 10_000

    def test_two_pickles_are_one_memory(self, quiet):
        wrapper = heap.BufferWrapper(10)
        code = "one, other = it; assert one is other; one.create_memoryview()[0] = 1"
        run(quiet, [wrapper, wrapper], code)
        again = pickle.loads(pickled(wrapper, quiet.uid))
        assert again is wrapper
        assert wrapper.create_memoryview()[0] == 1
        separate = "two = pickle.loads(bytes.fromhex(task['object'])); assert two is it"
        run(quiet, wrapper, separate)

    def test_a_block_used_before_begins_as_zeros(self, quiet):
        used = heap.BufferWrapper(64)
        used.create_memoryview()[:] = b"x" * 64
        del used
        wrapper = heap.rebuild(new_id(), 64, "")
        assert bytes(wrapper.create_memoryview()) == bytes(64)

    def test_an_empty_buffer_can_be_shared(self, quiet):
        run(quiet, heap.BufferWrapper(0), "assert len(it.create_memoryview()) == 0")

    def test_zeros_of_a_gigabyte_do_not_travel(self, quiet):
        wrapper = heap.BufferWrapper(1 << 30)
        wrapper.create_memoryview()[1 << 29] = 3
        pickled(wrapper, new_id())
        quiet.store.settle()
        fields = quiet.store.ask("HKEYS", quiet.keys.object(wrapper._replica.oid, "d"))
        blocks = [int(field.split(b":")[0]) for field in fields if field[:1].isdigit()]
        assert blocks == [(1 << 29) // 4096]

    def test_a_collected_buffer_lets_go_of_its_block_and_hold(self, quiet):
        # Another holder keeps the object itself.
        used = heap.BufferWrapper._heap
        wrapper = heap.BufferWrapper(24)
        pickled(wrapper, new_id())
        oid, block = wrapper._replica.oid, wrapper._state[0]
        holders = quiet.keys.object(oid, "h0")
        assert quiet.store.ask("SISMEMBER", holders, quiet.uid) == 1
        del wrapper
        gc.collect()
        assert quiet.store.ask("SISMEMBER", holders, quiet.uid) == 0
        assert quiet.store.ask("EXISTS", holders) == 1
        assert used.malloc(24)[:2] == block[:2]

    def test_the_last_hold_takes_the_segment_with_it(self, quiet):
        wrapper = heap.BufferWrapper(10_000)
        wrapper.create_memoryview()[:] = b"x" * 10_000
        run(quiet, wrapper, "")
        oid = wrapper._replica.oid
        for holder in quiet.store.ask("SMEMBERS", quiet.keys.object(oid, "h0")):
            if holder.decode() != quiet.uid:
                quiet.store.ask(*sharing._drop(quiet, holder.decode(), oid, 0))
        del wrapper
        gc.collect()
        quiet.store.settle()
        assert quiet.store.ask("KEYS", quiet.keys.object_base(oid) + "*") == []

    def test_a_forked_child_has_a_copy_of_its_own(self, quiet):
        wrapper = heap.BufferWrapper(200_000)
        view = wrapper.create_memoryview()
        pickled(wrapper, new_id())
        view[5] = 1
        child = os.fork()
        if child == 0:
            code = 1
            try:
                assert view[5] == 1
                view[199_999] = 2
                memory.synchronise()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        memory.synchronise()
        assert (view[5], view[199_999]) == (1, 2)
