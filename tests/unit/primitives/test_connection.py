from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import select
import selectors
import time
from collections import deque
from multiprocessing import connection
from multiprocessing.reduction import ForkingPickler

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from transparent_mp.errors import UntrustedPayloadError
from transparent_mp.primitives.connection import Connection, Pipe, rebuild, shared_pipe

SHORT = 0.05
LONG = 20

#: Of every class: empty, one byte, scattered when written, a blob, larger than any socket's buffer.
SIZES = [0, 1, 16 * 1024, 300 * 1024, 5 * 1024 * 1024]

pytestmark = pytest.mark.usefixtures("ours")


def local(duplex=True):
    return Pipe(duplex)


def promoted(duplex=True):
    one, two = Pipe(duplex)
    make, parts = one.__reduce__()
    make(*parts).close()
    return one, two


def born_shared(duplex=True):
    one, two = shared_pipe()
    if not duplex:
        one._writable = two._readable = False
    return one, two


@pytest.fixture(params=[local, promoted, born_shared])
def pipe(request):
    return request.param


@pytest.fixture(params=[promoted, born_shared])
def shared(request):
    return request.param


def readable(*conns):
    return select.select(conns, [], [], 0)[0]


def arrived(conn):
    """Whether the fd becomes readable; a message may still be on its way from the store."""
    return bool(select.select([conn], [], [], LONG)[0])


def blobs_of(session):
    """Keys of the large messages that lie unread; one that was refused stays until its session ends."""
    return set(session.store.ask("KEYS", session.keys("blob", "*")))


class TestMessages:
    @pytest.mark.parametrize("size", SIZES)
    def test_of_every_size_arrive(self, pipe, size, waiting):
        one, two = pipe()
        content = os.urandom(size)
        sent = waiting(one.send_bytes, content)
        assert two.recv_bytes() == content
        sent.result(LONG)
        sent = waiting(two.send, (content, None))
        assert one.recv() == (content, None)
        sent.result(LONG)

    def test_arrive_in_order_both_ways(self, pipe):
        one, two = pipe()
        for number in range(100):
            one.send(number)
            two.send_bytes(b"%d" % number)
        assert [two.recv() for _ in range(100)] == list(range(100))
        assert [one.recv_bytes() for _ in range(100)] == [b"%d" % number for number in range(100)]

    def test_parts_of_a_buffer_are_sent(self, pipe):
        one, two = pipe(False)[::-1]
        one.send_bytes(memoryview(b"0123456789"), 2, 5)
        one.send_bytes(bytearray(b"0123456789"), 8)
        assert (two.recv_bytes(), two.recv_bytes()) == (b"23456", b"89")

    def test_a_buffer_may_change_once_it_is_sent(self, pipe, waiting):
        one, two = pipe()
        content = bytearray(b"a" * 400_000)
        sent = waiting(one.send_bytes, content)
        got = two.recv_bytes()
        sent.result(LONG)
        content[:] = b"b" * 400_000
        one.send_bytes(b"")
        two.recv_bytes()
        assert got == b"a" * 400_000

    def test_too_long_for_maxlength_of_a_duplex_end_ends_its_reading(self, pipe):
        one, two = pipe()
        one.send_bytes(b"12345")
        with pytest.raises(OSError, match=r"^bad message length$"):
            two.recv_bytes(4)
        assert (two.closed, two.readable, two.writable) == (False, False, True)
        two.send_bytes(b"on")
        assert one.recv_bytes(2) == b"on"

    def test_too_long_for_maxlength_of_a_reader_closes_it(self, pipe):
        reader, writer = pipe(False)
        writer.send_bytes(b"12345")
        assert not reader.closed
        with pytest.raises(OSError, match=r"^bad message length$"):
            reader.recv_bytes(4)
        assert reader.closed

    def test_just_short_enough_for_maxlength(self, pipe):
        one, two = pipe()
        one.send_bytes(b"12345")
        assert two.recv_bytes(5) == b"12345"

    def test_received_into_a_buffer(self, pipe):
        one, two = pipe()
        one.send_bytes(b"12345")
        one.send_bytes(b"")
        one.send_bytes(b"abc")
        buffer = bytearray(b".........")
        assert two.recv_bytes_into(buffer, 2) == 5
        assert two.recv_bytes_into(buffer) == 0
        assert buffer == b"..12345.."
        with pytest.raises(multiprocessing.BufferTooShort) as short:
            two.recv_bytes_into(buffer, 7)
        assert short.value.args == (b"abc",)

    def test_an_end_of_one_direction_refuses_the_other(self, pipe):
        reader, writer = pipe(False)
        with pytest.raises(OSError, match=r"^connection is read-only$"):
            reader.send(1)
        for use in (writer.recv, writer.poll):
            with pytest.raises(OSError, match=r"^connection is write-only$"):
                use()

    def test_a_closed_end_refuses_everything(self, pipe):
        one, _two = pipe()
        one.close()
        one.close()
        assert one.closed
        for use in (one.recv, one.poll, one.fileno, one.recv_bytes, lambda: one.send(1)):
            with pytest.raises(OSError, match=r"^handle is closed$"):
                use()

    def test_what_was_not_made_in_this_session_is_refused(self, own_session):
        _one, two = shared_pipe()
        own_session.store.cast(("RPUSH", two._shared.inbound, b"x" * 16 + b"I" + pickle.dumps(1)))
        with pytest.raises(UntrustedPayloadError):
            two.recv()

    def test_large_messages_that_nobody_reads_go_with_their_pipe(self, own_session):
        one, two = shared_pipe()
        inner, outer = shared_pipe()
        key = inner._shared.peers
        store = own_session.store
        before = blobs_of(own_session)
        one.post(ForkingPickler.dumps([outer, os.urandom(SIZES[-1])]))
        outer.close()
        del outer
        gc.collect()
        assert store.ask("SCARD", key) == 1, "held by the message alone"
        blobs = list(blobs_of(own_session) - before)
        assert len(blobs) == 1
        for end in (one, two):
            end.close()
        del one, two, end
        gc.collect()
        with pytest.raises(EOFError):
            inner.recv()
        assert store.ask("EXISTS", *blobs) == 0
        assert store.ask("SISMEMBER", own_session.keys("keys"), blobs[0]) == 0

    @pytest.mark.parametrize("size", [1, SIZES[-1]])
    def test_a_message_that_is_put_there_again_is_refused(self, own_session, waiting, size):
        one, two = shared_pipe()
        key = two._shared.inbound
        sent = waiting(one.send_bytes, b"1" * size)
        taken = own_session.store.pop(key)[0]
        own_session.store.cast(("RPUSH", key, taken), ("RPUSH", key, taken))
        assert two.recv_bytes() == b"1" * size
        sent.result(LONG)
        one.send_bytes(b"2")
        with pytest.raises(UntrustedPayloadError, match="received before"):
            two.recv_bytes()
        # What comes behind it is read.
        assert two.recv_bytes() == b"2"

    def test_what_is_put_back_is_not_taken_for_a_replay(self, own_session):
        one, two = shared_pipe()
        for number in range(10):
            one.send(number)
        key = two._shared.inbound
        first = own_session.store.pop(key)[0]
        assert [two.recv() for _ in range(8)] == list(range(1, 9))
        own_session.store.restore(key, [first])
        assert [two.recv(), two.recv()] == [0, 9]

    def test_a_message_is_for_its_side_of_its_pipe_only(self, own_session):
        one, two = shared_pipe()
        three, four = shared_pipe()
        for end in (one._shared, four._shared, three._shared):
            one.send("x")
            (taken,) = own_session.store.pop(two._shared.inbound)
            own_session.store.cast(("RPUSH", end.inbound, taken))
        for end in (one, three, four):
            with pytest.raises(UntrustedPayloadError, match="does not carry this session's seal"):
                end.recv()

    def test_two_threads_that_send_are_both_heard(self, own_session, waiting):
        one, two = shared_pipe()
        sending = [waiting(lambda: [one.send(number) for number in range(300)]) for _ in range(3)]
        assert sorted(two.recv() for _ in range(900)) == sorted([*range(300)] * 3)
        for each in sending:
            each.result(LONG)

    def test_an_end_that_is_handed_over_anew_is_still_heard(self, own_session, player, pickled):
        one, two = shared_pipe()
        other = player()
        for number in range(3):
            sender = other(pickle.loads, pickled(one))
            other(sender.send, number)
            assert two.recv() == number
            del sender

    def test_a_large_message_leaves_no_key_behind_once_read(self, own_session, waiting):
        one, two = shared_pipe()
        before = blobs_of(own_session)
        sent = waiting(one.send_bytes, bytes(SIZES[-1]))
        two.recv_bytes()
        sent.result(LONG)
        assert blobs_of(own_session) == before


class TestPoll:
    def test_tells_of_a_message_and_takes_nothing(self, pipe):
        one, two = pipe()
        assert two.poll() is False
        one.send(1)
        assert two.poll(LONG) is two.poll(None) is two.poll() is True
        assert two.recv() == 1
        assert two.poll(0) is False

    def test_waits_as_long_as_it_is_told(self, pipe):
        _one, two = pipe()
        begun = time.monotonic()
        assert two.poll(SHORT) is False
        assert SHORT <= time.monotonic() - begun < LONG
        assert two.poll(-1) is False

    @pytest.mark.parametrize("timeout", [None, LONG])
    def test_wakes_for_a_message(self, pipe, waiting, timeout):
        one, two = pipe()
        found = waiting(two.poll, timeout)
        one.send(1)
        begun = time.monotonic()
        assert found.result(LONG) is True
        assert time.monotonic() - begun < LONG / 2

    def test_tells_of_the_end(self, pipe):
        one, two = pipe()
        assert two.poll(0) is False
        one.close()
        assert two.poll(LONG) is True
        with pytest.raises(EOFError):
            two.recv()
        assert two.poll(0) is True

    def test_tells_nothing_of_what_another_holder_took(self, own_session, player):
        one, two = shared_pipe()
        other = player()
        again = other(rebuild, two._shared.hold.oid, 1, "", True, True)
        assert two.poll(0.001) is False
        one.send(1)
        assert two.poll(LONG) is True
        assert other(again.recv) == 1
        assert two.poll(SHORT) is False
        one.send(2)
        assert two.poll(LONG) is True
        assert two.recv() == 2


class TestEnd:
    @pytest.mark.parametrize("collected", [False, True])
    def test_is_read_after_everything_else(self, pipe, collected):
        one, two = pipe()
        one.send(1)
        if collected:
            del one
            gc.collect()
        else:
            one.close()
        assert two.recv() == 1
        for _ in range(3):
            with pytest.raises(EOFError):
                two.recv()

    def test_wakes_who_is_blocked(self, pipe, waiting):
        one, two = pipe()
        found = waiting(two.recv)
        one.close()
        with pytest.raises(EOFError):
            found.result(LONG)

    def test_is_read_by_every_holder(self, own_session, player):
        one, two = shared_pipe()
        other, third = player(), player()
        oid = two._shared.hold.oid
        theirs = [whose(rebuild, oid, 1, "", True, True) for whose in (other, third)]
        one.close()
        for _ in range(2):
            for whose, conn in zip((other, third), theirs):
                with pytest.raises(EOFError):
                    whose(conn.recv)
            with pytest.raises(EOFError):
                two.recv()

    def test_comes_with_the_last_holder_of_the_other_side(self, own_session, player):
        one, two = shared_pipe()
        other = player()
        again = other(rebuild, one._shared.hold.oid, 0, "", True, True)
        # Without a token nothing else says which of the two the store hears first.
        other(other.session.store.settle)
        one.close()
        assert two.poll(0) is False
        other(again.send, "still")
        other(again.close)
        assert two.recv() == "still"
        with pytest.raises(EOFError):
            two.recv()

    def test_two_objects_of_a_process_are_one_holder(self, own_session):
        one, two = shared_pipe()
        again = rebuild(one._shared.hold.oid, 0, "", True, True)
        one.close()
        assert two.poll(0) is False
        again.close()
        assert two.poll(LONG) is True

    def test_a_pickle_under_way_holds(self, own_session, pickled):
        one, two = shared_pipe()
        data = pickled(one)
        one.close()
        assert two.poll(0) is False
        again = pickle.loads(data)
        again.send(1)
        assert two.recv() == 1
        again.close()
        with pytest.raises(EOFError):
            two.recv()

    def test_sending_to_nobody_is_a_broken_pipe_once_the_store_has_answered(
        self, shared, own_session, monkeypatch
    ):
        one, two = shared()
        two.close()
        own_session.store.settle()
        one.send(1)
        monkeypatch.setattr("transparent_mp.primitives.sent.LOOK_AFTER", 0)
        assert select.select([own_session.store._line], [], [], LONG)[0]
        for _ in range(2):
            with pytest.raises(BrokenPipeError):
                one.send(1)

    def test_nobody_waits_for_answers_to_a_burst(self, own_session):
        one, two = shared_pipe()
        one.send("warm")
        own_session.store.settle()
        before = own_session.store.waits
        for number in range(3000):
            one.send(number)
        assert own_session.store.waits == before
        two.recv()
        assert [two.recv() for _ in range(3000)] == list(range(3000))

    def test_nothing_is_left_in_the_store(self, own_session):
        one, two = shared_pipe()
        base = own_session.keys.object_base(one._shared.hold.oid)
        oid = one._shared.hold.oid
        one.send(b"x" * 100)
        two.send(1)
        one.fileno()
        assert own_session.store.ask("KEYS", base.replace("{", "[{]") + "*")
        one.close()
        two.close()
        own_session.store.settle()
        assert own_session.store.ask("KEYS", base + "*") == []
        assert own_session.store.ask("SISMEMBER", own_session.keys("objects"), oid) == 0


class TestDescriptor:
    def test_is_readable_exactly_while_a_message_is_there(self, pipe):
        one, two = pipe()
        assert readable(two) == []
        one.send(1)
        one.send(2)
        assert arrived(two)
        assert two.recv() == 1
        assert readable(two) == [two]
        assert two.recv() == 2
        assert readable(two) == []

    def test_tells_of_what_was_there_before_it_was_asked_for(self, pipe):
        one, two = pipe()
        one.send(1)
        assert readable(two) == [two]

    def test_tells_of_the_end(self, pipe):
        one, two = pipe()
        assert readable(two) == []
        one.close()
        assert arrived(two)
        with pytest.raises(EOFError):
            two.recv()
        assert arrived(two)

    def test_stays_what_it_was(self, pipe):
        one, two = pipe()
        fd = two.fileno()
        one.send("x" * 300_000) if pipe is not local else one.send("x")
        two.recv()
        assert two.fileno() == fd
        two.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)

    @pytest.mark.parametrize(
        "selector", [selectors.EpollSelector, selectors.PollSelector, selectors.SelectSelector]
    )
    def test_may_be_registered_once_for_all(self, pipe, selector):
        one, two = pipe()
        with selector() as waiter:
            waiter.register(two, selectors.EVENT_READ)
            assert waiter.select(0) == []
            for number in range(5):
                one.send(number)
                one.send_bytes(b"more")
                for expected in (number, b"more"):
                    assert waiter.select(LONG)
                    assert (two.recv_bytes() if expected == b"more" else two.recv()) == expected
                # What has been taken may be told of for a moment, but not for good.
                assert waiter.select(SHORT) == []
            one.close()
            assert waiter.select(LONG)

    def test_of_an_end_that_only_writes_is_one(self, shared):
        _reader, writer = shared(False)
        writer.send(1)
        if shared is promoted:
            os.fstat(writer.fileno())

    def test_wait_over_several_tells_which(self, pipe):
        pairs = [pipe() for _ in range(4)]
        mine = [two for _one, two in pairs]
        assert connection.wait(mine, 0) == []
        pairs[2][0].send(1)
        assert connection.wait(mine, LONG) == [mine[2]]
        pairs[0][0].close()
        deadline = time.monotonic() + LONG
        while len(ready := connection.wait(mine, LONG)) < 2:
            assert time.monotonic() < deadline
        assert ready == [mine[0], mine[2]]
        mine[2].recv()
        assert connection.wait(mine, 0) == [mine[0]]

    def test_wait_is_told_of_nothing_by_a_lost_connection(self, shared, own_session, waiting, until):
        one, two = shared()
        two.fileno()
        watch = two._shared.watch
        link = watch.line.link
        found = waiting(connection.wait, [two], LONG)
        until(lambda: watch._state.name == "ARMED")
        assert own_session.store.ask("CLIENT", "KILL", "ID", link.number, "ADDR", link.name) == 1
        # It looks on another link, and goes on waiting.
        until(lambda: watch.line.link is not link)
        assert not found.done()
        one.send("an element")
        assert found.result(LONG) == [two]
        assert two.recv() == "an element"

    @pytest.mark.parametrize(
        "look", [lambda end: connection.wait([end], 0) == [end], lambda end: end.poll(0)]
    )
    def test_what_is_there_is_found_at_once_after_a_lost_connection(self, shared, own_session, look):
        one, two = shared()
        two.fileno()
        for number in range(20):
            link = two._shared.watch.line.link
            one.send(number)
            own_session.store.call(("CLIENT", "KILL", "ID", link.number, "ADDR", link.name))
            assert look(two)
            assert two.recv() == number
            two.fileno()

    def test_wait_takes_local_and_shared_ones_together(self):
        (a, b), (c, d) = local(), born_shared()
        assert connection.wait([b, d], SHORT) == []
        a.send(1)
        assert connection.wait([b, d], LONG) == [b]
        c.send(1)
        b.recv()
        assert connection.wait([b, d], LONG) == [d]

    def test_a_waiting_holder_takes_nothing_from_another(self, own_session, player, waiting):
        one, two = shared_pipe()
        other = player()
        again = other(rebuild, two._shared.hold.oid, 1, "", True, True)
        two.fileno()
        other(again.fileno)
        for number in range(5):
            one.send(number)
            assert (other(again.recv) if number % 2 else two.recv()) == number
        taken = [waiting(two.recv), other.begin(again.recv)]
        one.send("a")
        one.send("b")
        assert sorted(each.result(LONG) for each in taken) == ["a", "b"]


class TestPickles:
    def test_a_local_pipe_stays_local_for_a_child_of_this_machine(self, monkeypatch):
        one, _two = local()

        class Stock:
            DupFd = int

            def duplicate_for_child(self, fd):
                return fd

        multiprocessing.context.set_spawning_popen(Stock())
        try:
            assert one.__reduce__()[0] is connection.rebuild_connection
        finally:
            multiprocessing.context.set_spawning_popen(None)
        assert one._shared is None

    def test_keeps_the_directions(self, pickled):
        reader, writer = local(False)
        again = pickle.loads(pickled(writer))
        assert (again.readable, again.writable) == (False, True)
        again.send(1)
        assert reader.recv() == 1

    def test_a_closed_end_has_none(self, pipe, pickled):
        one, _two = pipe()
        one.close()
        with pytest.raises(OSError, match="handle is closed"):
            pickled(one)

    def test_a_receiver_that_is_being_started_holds_at_once(self, own_session, player, pickled):
        one, two = local()
        other = player()
        data = pickled(two, other.uid)
        two.close()
        one.send("first")
        theirs = other(pickle.loads, data)
        assert other(theirs.recv) == "first"
        other(theirs.close)
        with pytest.raises(EOFError):
            one.recv()

    def test_end_of_a_process_that_is_killed(self, own_session, interpreter, pickled):
        one, two = local()
        data = pickled(two, "the-child")
        two.close()
        process = interpreter(
            """
            given.send(given.recv() + 1)
            given.recv()
            """,
            data,
            uid="the-child",
        )
        one.send(1)
        assert one.recv() == 2
        process.kill()
        process.wait()
        assert one.poll(0) is False
        # What the supervisor of a process does when it has ended.
        parts = own_session.keys.base, own_session.keys.any_object, "the-child", own_session.ttl
        own_session.store.call(own_session.script("forget", ("objects", "keys"), parts))
        with pytest.raises(EOFError):
            one.recv()


class Pipes(RuleBasedStateMachine):
    """Two ends against two deques; sharing and closing may come at any time."""

    def __init__(self):
        super().__init__()
        self.ends = list(Pipe())
        # What each end is still to receive.
        self.due = [deque(), deque()]
        self.closed = [False, False]

    def open_end(self, data):
        ends = [at for at in (0, 1) if not self.closed[at]]
        return data.draw(st.sampled_from(ends))

    @precondition(lambda self: not all(self.closed))
    @rule(data=st.data(), size=st.sampled_from([0, 1, 100, 20_000, 300_000]), number=st.integers(0, 255))
    def send(self, data, size, number):
        at = self.open_end(data)
        local = self.ends[at]._shared is None
        if self.closed[1 - at] or (local and sum(map(len, self.due[1 - at])) + size > 60_000):
            return
        content = bytes([number]) * size
        self.ends[at].send_bytes(content)
        self.due[1 - at].append(content)

    @precondition(lambda self: not all(self.closed))
    @rule(data=st.data())
    def receive(self, data):
        at = self.open_end(data)
        if self.due[at]:
            assert self.ends[at].recv_bytes() == self.due[at].popleft()
        elif self.closed[1 - at]:
            with pytest.raises((EOFError, ConnectionResetError)):
                self.ends[at].recv_bytes()

    @precondition(lambda self: not all(self.closed))
    @rule(data=st.data())
    def look(self, data):
        at = self.open_end(data)
        ready = bool(self.due[at]) or self.closed[1 - at]
        assert self.ends[at].poll(LONG if ready else 0) is ready

    @precondition(lambda self: not all(self.closed))
    @rule(data=st.data())
    def ask_for_the_descriptor(self, data):
        at = self.open_end(data)
        fd = self.ends[at].fileno()
        ready = bool(self.due[at]) or self.closed[1 - at]
        assert bool(select.select([fd], [], [], LONG if ready else 0)[0]) is ready

    @precondition(lambda self: not all(self.closed))
    @rule(data=st.data(), instead=st.booleans())
    def share(self, data, instead):
        at = self.open_end(data)
        again = pickle.loads(connection._ForkingPickler.dumps(self.ends[at]))
        if instead:
            self.ends[at].close()
            self.ends[at] = again
        else:
            again.close()

    @precondition(lambda self: not any(self.closed))
    @rule(at=st.integers(0, 1))
    def close(self, at):
        self.ends[at].close()
        self.closed[at] = True

    def teardown(self):
        for at, end in enumerate(self.ends):
            if not self.closed[at]:
                while self.due[at]:
                    assert end.recv_bytes() == self.due[at].popleft()
            end.close()


def test_a_pipe_behaves_as_its_model_does():
    run_state_machine_as_test(
        Pipes,
        settings=settings(
            max_examples=60,
            stateful_step_count=20,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_every_connection_of_the_library_is_ours():
    assert connection.Connection is Connection


def test_an_fd_that_came_along_with_a_fork_stays_the_parents(shared):
    here, there = shared()
    here.fileno()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            there.send("one")
            status = 0 if here.poll(LONG) and here.recv() == "one" and not here.poll(0) else 2
            here.close()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    for message in ("two", "three"):
        there.send(message)
        assert arrived(here)
        assert here.recv() == message
    assert not readable(here)
