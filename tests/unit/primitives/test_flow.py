from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from transparent_mp.primitives import connection, flow
from transparent_mp.store.scripts import script
from transparent_mp.store.session import new_id

LONG = 20
SIZE = 32 * 1024


@pytest.fixture
def pipe(own_session):
    """Both ends of a shared pipe; what lies unread in it goes with them."""
    ends = connection.shared_pipe()
    yield ends
    for end in ends:
        end.close()


def fill(end):
    """Send without waiting until the window is full; the number of messages."""
    count = 0
    while not end._shared.flow._full():
        end.post(bytes(SIZE))
        count += 1
    return count


def in_thread(function, *args):
    """The future of what a thread does that does not sleep for long at a time."""
    future = Future()

    def run():
        try:
            future.set_result(function(*args))
        except OSError as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def key_of(end):
    return end._shared.flow._key


class TestWindow:
    def test_is_so_many_bytes(self, pipe):
        one, _two = pipe
        size = 64 * 1024
        count = 0
        while one.has_room():
            one.post(bytes(size))
            count += 1
        assert flow.WINDOW < count * size <= flow.WINDOW + flow.STEP + size

    def test_is_so_many_messages(self, pipe):
        one, _two = pipe
        count = 0
        while one.has_room():
            one.post(b"x")
            count += 1
        assert flow.MESSAGES < count <= flow.MESSAGES * (1 + 1 / flow.STEPS)

    def test_opens_without_a_wait_while_its_reader_keeps_up(self, pipe, own_session):
        one, two = pipe
        before = own_session.store.waits
        for _ in range(4 * flow.STEPS):
            one.post(bytes(flow.STEP))
            taken = own_session.store.waits
            two.recv_bytes()
            before += own_session.store.waits - taken
            assert one.has_room()
        assert own_session.store.waits == before

    def test_holds_a_sender_back_until_something_is_taken(self, pipe, waiting):
        one, two = pipe
        count = fill(one)
        sent = waiting(one.send_bytes, b"last")
        assert not sent.done()
        assert [len(two.recv_bytes()) for _ in range(count)] == [SIZE] * count
        sent.result(LONG)
        assert two.recv_bytes() == b"last"

    def test_a_message_larger_than_it_is_waited_for(self, pipe, waiting):
        one, two = pipe
        sent = waiting(one.send_bytes, bytes(2 * flow.WINDOW))
        assert not sent.done()
        assert len(two.recv_bytes()) == 2 * flow.WINDOW
        sent.result(LONG)

    def test_is_a_share_where_many_may_send(self, pipe, own_session):
        one, _two = pipe
        side = one._shared.flow._own
        own_session.store.call(("SADD", side, *(new_id() for _ in range(4 * flow.WINDOWS - 1))))
        one.post(bytes(flow.STEP))
        own_session.store.settle()
        count = 1
        while one.has_room():
            one.post(bytes(flow.STEP))
            count += 1
        assert count == flow.STEPS // 4 + 1

    def test_of_a_very_large_crowd_is_still_a_step(self, pipe, own_session):
        one, _two = pipe
        own_session.store.call(("SADD", one._shared.flow._own, *(new_id() for _ in range(1000))))
        one.post(bytes(flow.STEP))
        own_session.store.settle()
        assert one.has_room()
        one.post(bytes(flow.STEP))
        assert not one.has_room()

    def test_counts_what_several_threads_send(self, pipe):
        one, two = pipe
        each = flow.MESSAGES // flow.STEPS * 3
        threads = [
            threading.Thread(target=lambda: [one.post(b"x") for _ in range(each)], daemon=True)
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
        assert one._shared.flow._messages == 4 * each
        for _ in range(4 * each):
            two.recv_bytes()
        one.send_bytes(b"")
        one._shared.flow._take(one._shared.flow._session.store.ask("LPOP", key_of(one), 1000))
        assert one._shared.flow._messages == 0
        assert one._shared.flow._bytes == 0


class TestLost:
    def test_the_tokens_of_readers_that_died_are_found_out(self, pipe, monkeypatch, own_session):
        monkeypatch.setattr(flow, "LOOK_EVERY", 0.05)
        one, two = pipe
        fill(one)
        # As by readers that died between the pop and their token.
        own_session.store.ask("DEL", two._shared.inbound)
        sent = in_thread(one.send_bytes, b"next")
        sent.result(LONG)
        assert two.recv_bytes() == b"next"

    def test_a_reader_that_is_slow_is_not_taken_for_one(self, pipe, monkeypatch, own_session):
        monkeypatch.setattr(flow, "LOOK_EVERY", 0.01)
        looked = threading.Event()
        look = flow.Flow._look
        monkeypatch.setattr(flow.Flow, "_look", lambda self, **how: (look(self, **how), looked.set()))
        one, two = pipe
        count = fill(one)
        sent = in_thread(one.send_bytes, b"next")
        assert looked.wait(LONG)
        assert not sent.done()
        for _ in range(count):
            two.recv_bytes()
        sent.result(LONG)

    def test_the_list_is_searched_less_and_less_often(self, pipe, monkeypatch, own_session):
        monkeypatch.setattr(flow, "LOOK_EVERY", 0.001)
        monkeypatch.setattr(flow, "SEARCH", 5)
        searches, enough = [], threading.Event()

        def look(_self, *, search):
            searches.append(search)
            if len(searches) == 11:
                enough.set()

        monkeypatch.setattr(flow.Flow, "_look", look)
        one, two = pipe
        count = fill(one)
        sent = in_thread(one.send_bytes, b"next")
        assert enough.wait(LONG)
        assert [at + 1 for at, search in enumerate(searches[:11]) if search] == [1, 2, 4, 5, 8, 10]
        for _ in range(count):
            two.recv_bytes()
        sent.result(LONG)

    def test_tokens_that_come_late_after_all_do_no_harm(self, pipe):
        one, _two = pipe
        one._shared.flow._take([b"1"] * 100)
        assert (one._shared.flow._bytes, one._shared.flow._messages) == (0, 0)

    def test_nobody_left_to_take_anything(self, pipe, monkeypatch, own_session):
        monkeypatch.setattr(flow, "LOOK_EVERY", 0.05)
        one, two = pipe
        fill(one)
        sent = in_thread(one.send_bytes, b"next")
        two.close()
        with pytest.raises(BrokenPipeError):
            sent.result(LONG)

    def test_a_child_of_a_fork_has_tokens_of_its_own(self, pipe, monkeypatch):
        one, _two = pipe
        fill(one)
        parents = one._shared.flow.name
        monkeypatch.setattr(flow.os, "getpid", lambda: -1)
        one._shared.flow.wait()
        assert one._shared.flow.name != parents
        assert one.has_room()


class TestLeftBehind:
    def test_nothing_by_an_end_that_is_closed(self, pipe, own_session):
        one, two = pipe
        for _ in range(3):
            one.post(bytes(flow.STEP))
        for _ in range(3):
            two.recv_bytes()
        key = key_of(one)
        assert own_session.store.ask("EXISTS", key)
        one.close()
        assert not own_session.store.ask("EXISTS", key)
        assert not own_session.store.ask("SISMEMBER", own_session.keys("keys"), key)

    def test_nothing_by_a_process_that_ended(self, pipe, own_session):
        one, two = pipe
        count = fill(one)
        for _ in range(count - 1):
            two.recv_bytes()
        keys = own_session.keys
        parts = keys.base, keys.any_object, own_session.uid, own_session.ttl
        own_session.store.call(own_session.script("forget", ("objects", "keys"), parts))
        own_session.store.call(("SADD", two._shared.peers, "another"))
        acknowledged = script("acknowledge", (key_of(one), keys("keys")), (own_session.ttl,))
        assert own_session.store.ask(*acknowledged) == 0
        for key in (key_of(one), keys("acks", own_session.uid)):
            assert not own_session.store.ask("EXISTS", key)
            assert not own_session.store.ask("SISMEMBER", keys("keys"), key)
