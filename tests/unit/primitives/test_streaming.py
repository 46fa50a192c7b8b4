from __future__ import annotations

import gc
import multiprocessing as mp
import os
import pickle
import threading
from multiprocessing import connection

import pytest

from transparent_mp.primitives import memory, streaming
from transparent_mp.primitives import session as sessions

LONG = 60
MANY = 3 * streaming.MOST

pytestmark = pytest.mark.usefixtures("ours")


class Pair:
    """A queue, and the same at another process, which puts."""

    def __init__(self, player, pickled):
        self.mine, self.pickled = mp.Queue(), pickled
        self.other = player()
        self.theirs = self.other(pickle.loads, pickled(self.mine, self.other.uid))

    def put(self, items):
        for item in items:
            self.other(self.theirs.put, item)
        self.other(self.other.session.store.settle)

    def take(self, count):
        return [self.mine.get(timeout=LONG) for _ in range(count)]

    def others(self, count):
        return [self.other(self.theirs.get, True, LONG) for _ in range(count)]

    @property
    def stream(self):
        return self.mine._reader._shared.stream

    def in_a_row(self):
        """Take so many that several are here."""
        taken = self.take(streaming.ROW + 1)
        assert len(self.stream) > 1
        return taken


@pytest.fixture
def pair(player, pickled, own_session, monkeypatch):
    monkeypatch.setattr(own_session, "client", own_session.uid)
    monkeypatch.setattr(streaming, "QUICK", LONG)
    return Pair(player, pickled)


@pytest.fixture
def held(pair, monkeypatch):
    """What is here stays."""
    monkeypatch.setattr(streaming.Stream, "_look", lambda _: None)
    return pair


def test_what_lies_there_is_fetched_together_and_taken_in_its_order(held):
    held.put(range(MANY))
    store = sessions.current().store
    before = store.waits
    assert held.take(MANY) == list(range(MANY))
    assert store.waits - before < streaming.ROW + 10


def test_what_comes_later_comes_behind(held):
    held.put(range(MANY))
    taken = held.in_a_row()
    held.put(range(MANY, MANY + 3))
    assert taken + held.take(MANY + 3 - len(taken)) == list(range(MANY + 3))


def test_who_does_something_in_between_holds_nothing(pair, monkeypatch):
    monkeypatch.setattr(streaming, "QUICK", 0.0)
    pair.put(range(MANY))
    assert pair.take(MANY - 1) == list(range(MANY - 1))
    assert len(pair.stream) == 0
    assert pair.others(1) == [MANY - 1]


def test_what_is_here_counts(held):
    held.put(range(MANY))
    taken = held.in_a_row()
    assert held.mine.qsize() == MANY - len(taken)
    assert not held.mine.empty()
    held.take(MANY - len(taken))
    assert held.mine.empty()


def test_what_is_not_taken_is_given_back_by_itself(pair):
    pair.put(range(MANY))
    taken = pair.take(streaming.ROW + 1)
    # Nobody asks for it: the last of them is there at once, the others when they are given back.
    assert sorted(taken + pair.others(MANY - len(taken))) == list(range(MANY))


def test_and_in_its_place(held):
    held.put(range(MANY))
    taken = held.in_a_row()
    held.stream.give_back()
    assert len(held.stream) == 0
    assert taken + held.others(MANY - len(taken)) == list(range(MANY))


@pytest.mark.parametrize("release", ["send", "put", "set", "release", "start"])
def test_who_is_told_to_go_on_takes_what_comes_next(held, release):
    end, lock, event, queue = mp.Pipe()[0], mp.Lock(), mp.Event(), mp.Queue()
    for one in (end, lock, event, queue):
        held.pickled(one, held.other.uid)
    operations = {
        "send": lambda: end.send(1),
        "put": lambda: queue.put(1),
        "set": event.set,
        "release": lock.release,
        "start": memory.publish,
    }
    if release == "release":
        lock.acquire()
    held.put(range(MANY))
    taken = held.in_a_row()
    operations[release]()
    assert len(held.stream) == 0
    sessions.current().store.settle()
    assert taken + held.others(10) == list(range(len(taken) + 10))
    assert held.take(MANY - len(taken) - 10) == list(range(len(taken) + 10, MANY))


def test_who_gives_back_is_not_overtaken_by_its_own_next_wait(pair, monkeypatch):
    monkeypatch.setattr(streaming, "LOOK_EVERY", 0.0)
    pair.put(range(10 * MANY))
    assert pair.take(10 * MANY) == list(range(10 * MANY))


def test_what_is_here_is_given_back_when_the_end_is_closed(held):
    held.put(range(MANY))
    taken = held.in_a_row()
    held.mine.close()
    sessions.current().store.settle()
    assert taken + held.others(MANY - len(taken)) == list(range(MANY))


def test_and_when_nobody_has_it_any_more(held):
    held.put(range(MANY))
    taken = held.in_a_row()
    del held.mine
    gc.collect()
    sessions.current().store.settle()
    assert taken + held.others(MANY - len(taken)) == list(range(MANY))


def test_an_fd_tells_of_what_was_here(held):
    held.put(range(MANY))
    taken = held.in_a_row()
    reader = held.mine._reader
    assert connection.wait([reader], LONG) == [reader]
    assert len(held.stream) == 0
    assert taken + held.take(MANY - len(taken)) == list(range(MANY))
    assert connection.wait([reader], 0) == []


def test_a_process_fetches_what_it_takes_and_nothing_else(pair):
    for item in range(MANY):
        pair.mine.put(item)
    sessions.current().store.settle()
    assert pair.others(MANY) == list(range(MANY))
    assert pair.theirs._reader._shared.stream is None


def test_what_shared_memory_follows_is_fetched_with_it(held):
    array = mp.RawArray("i", 4)
    theirs = held.other(pickle.loads, held.pickled(array, held.other.uid))
    assert len(theirs) == len(array)
    held.put(range(MANY))
    assert held.take(MANY - 1) == list(range(MANY - 1))
    assert len(held.stream) == 0


def test_a_list_that_is_slow_to_fill_is_asked_seldom(held, monkeypatch):
    asked = []
    real = streaming.Stream._ask
    monkeypatch.setattr(streaming.Stream, "_ask", lambda stream: (asked.append(1), real(stream)))
    for item in range(MANY):
        held.put([item])
        assert held.take(1) == [item]
    assert 0 < len(asked) < 10


@pytest.mark.parametrize(("size", "most"), [(streaming.ROOM // 4, 4), (streaming.ROOM, 0)])
def test_of_larger_ones_fewer_are_here(held, size, most):
    # No more than may be on the way.
    held.put([bytes(size - 1000)] * (streaming.ROW + 12))
    here = set()
    for _ in range(streaming.ROW + 12):
        assert len(held.mine.get(timeout=LONG)) == size - 1000
        here.add(len(held.stream))
    assert max(here) == max(0, most - 1)


def test_what_was_here_is_the_parents_after_a_fork(held):
    held.put(range(MANY))
    taken = held.in_a_row()
    stream, found = held.stream, []
    pid = os.fork()
    if pid == 0:
        os._exit(int(stream.take(found) or bool(found) or len(stream) > 0))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert taken + held.take(MANY - len(taken)) == list(range(MANY))


def test_several_threads_take_each_once(pair):
    pair.put(range(10 * MANY))
    taken = []

    def take():
        taken.extend(pair.take(2 * MANY))

    threads = [threading.Thread(target=take) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(10 * MANY))


def test_its_thread_ends_with_it(pair):
    pair.put(range(MANY))
    ended = threading.Event()
    real = streaming.Stream._look

    def look(stream):
        real(stream)
        ended.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming.Stream, "_look", look)
        pair.take(MANY)
        pair.mine.close()
        assert ended.wait(LONG)
