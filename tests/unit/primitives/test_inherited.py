from __future__ import annotations

import logging
import pickle
import socket
import sys
import threading
import weakref

import pytest

from transparent_mp.primitives import reduction


class Thing:
    pass


def back(obj):
    return pickle.loads(reduction.dumps(obj))


@pytest.mark.parametrize("locked", [True, False])
def test_a_lock_comes_in_the_same_state(locked):
    lock = threading.Lock()
    if locked:
        lock.acquire()
    assert back(lock).locked() is locked


def test_an_rlock_keeps_its_depth():
    lock = threading.RLock()
    assert not back(lock)._is_owned()
    with lock, lock:
        copy = back(lock)
    copy.release()
    copy.release()
    with pytest.raises(RuntimeError):
        copy.release()


def test_an_rlock_of_another_thread_comes_free():
    lock = threading.RLock()
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    assert back(lock).acquire(blocking=False)


def test_conditions_and_events_work():
    event = threading.Event()
    event.set()
    assert back(event).is_set()
    with back(threading.Condition()) as held:
        assert held


def test_a_thread_local_brings_this_threads_values():
    local = threading.local()
    local.x = [1]
    assert back(local).x == [1]


def test_weak_references_hold_what_is_pickled_too():
    thing = Thing()
    kept, ref = back([thing, weakref.ref(thing)])
    assert ref() is kept
    gone = weakref.ref(Thing())
    assert back(gone)() is None
    values = weakref.WeakValueDictionary(a=thing)
    kept, copy, keys = back([thing, values, weakref.WeakKeyDictionary({thing: 1})])
    assert copy["a"] is kept
    assert keys[kept] == 1


def test_files_open_again_where_they_were(tmp_path):
    path = tmp_path / "file"
    with open(path, "w", encoding="latin-1") as file:
        file.write("é one\n")
        with back(file) as copy:
            copy.write("two\n")
    with open(path, encoding="latin-1") as file:
        assert file.readline() == "é one\n"
        with back(file) as copy:
            assert copy.read() == "two\n"
    with open(path, "ab") as file, back(file) as copy:
        copy.write(b"three\n")
    assert path.read_bytes() == b"\xe9 one\ntwo\nthree\n"
    with pytest.raises(TypeError, match="closed"):
        reduction.dumps(file)


def test_standard_streams_and_loggers_go_by_name():
    assert back(sys.__stderr__) is sys.__stderr__
    assert back(sys.__stdout__.buffer) is sys.__stdout__.buffer
    assert back(logging.getLogger("a.b")) is logging.getLogger("a.b")


def test_sockets_and_generators_are_refused():
    with socket.socket() as sock, pytest.raises(TypeError, match="belongs to the machine"):
        reduction.dumps(sock)
    with pytest.raises(TypeError, match="frame is running"):
        reduction.dumps({"g": (n for n in ())})
