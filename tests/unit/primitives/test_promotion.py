from __future__ import annotations

import fcntl
import os
import pickle
import select
import time

import pytest

from transparent_mp.primitives.connection import Pipe

SHORT = 0.05
LONG = 20

pytestmark = pytest.mark.usefixtures("ours")


def share(end):
    """Promote the pipe of `end`; nobody else holds it afterwards."""
    make, parts = end.__reduce__()
    make(*parts).close()


@pytest.fixture(params=[0, 1], ids=["by one end", "by the other"])
def side(request):
    return request.param


@pytest.mark.parametrize("size", [0, 1, 16 * 1024, 60_000])
def test_what_lies_in_the_pipe_goes_along_in_both_directions(side, size):
    ends = Pipe()
    # As many as surely fit into the buffers.
    sent = [bytes([number]) * size for number in range(min(20, 60_000 // (size + 1) + 1))]
    for content in sent:
        ends[0].send_bytes(content)
        ends[1].send_bytes(content[::-1] + b"!")
    share(ends[side])
    ends[0].send_bytes(b"later")
    ends[1].send_bytes(b"later")
    assert [ends[1].recv_bytes() for _ in sent] == sent
    assert [ends[0].recv_bytes() for _ in sent] == [content[::-1] + b"!" for content in sent]
    assert (ends[0].recv_bytes(), ends[1].recv_bytes()) == (b"later", b"later")
    assert [end.poll() for end in ends] == [False, False]


def test_of_one_direction(side):
    ends = reader, writer = Pipe(False)
    for number in range(10):
        writer.send(number)
    share(ends[side])
    writer.send(10)
    assert [reader.recv() for _ in range(11)] == list(range(11))
    writer.close()
    with pytest.raises(EOFError):
        reader.recv()


@pytest.mark.parametrize("duplex", [True, False])
def test_a_thread_that_is_blocked_in_recv_goes_on_in_the_store(waiting, side, duplex):
    ends = reader, writer = Pipe(duplex)
    found = waiting(reader.recv)
    share(ends[side])
    writer.send("new")
    assert found.result(LONG) == "new"


def test_several_threads_that_are_blocked_in_recv_get_one_message_each(waiting, side):
    ends = reader, writer = Pipe(False)
    found = [waiting(reader.recv) for _ in range(4)]
    share(ends[side])
    for number in range(4):
        writer.send(number)
    assert sorted(each.result(LONG) for each in found) == [0, 1, 2, 3]


def test_a_thread_in_recv_at_each_end(waiting):
    one, two = Pipe()
    found = [waiting(one.recv), waiting(two.recv)]
    share(one)
    one.send("to two")
    two.send("to one")
    assert [each.result(LONG) for each in found] == ["to one", "to two"]


@pytest.mark.parametrize("timeout", [None, LONG])
def test_a_thread_that_is_blocked_in_poll_goes_on_in_the_store(waiting, side, timeout):
    ends = reader, writer = Pipe(False)
    found = waiting(reader.poll, timeout)
    share(ends[side])
    begun = time.monotonic()
    writer.send("new")
    assert found.result(LONG) is True
    assert time.monotonic() - begun < LONG / 2
    assert reader.recv() == "new"


def test_a_poll_that_began_locally_ends_in_time(waiting, side):
    ends = Pipe(False)
    begun = time.monotonic()
    found = waiting(ends[0].poll, 10 * SHORT)
    share(ends[side])
    assert found.result(LONG) is False
    assert 10 * SHORT <= time.monotonic() - begun < LONG


def test_a_thread_that_is_blocked_in_send_is_let_finish(waiting, side):
    ends = Pipe()
    large = os.urandom(1_000_000)
    ends[0].send_bytes(b"before")
    sent = waiting(ends[0].send_bytes, large)
    assert not sent.done()
    share(ends[side])
    sent.result(LONG)
    ends[0].send_bytes(b"behind")
    assert [ends[1].recv_bytes() for _ in range(3)] == [b"before", large, b"behind"]


def test_threads_that_are_blocked_in_send_at_both_ends(waiting):
    one, two = Pipe()
    large = [os.urandom(1_000_000), os.urandom(1_000_000)]
    sent = [waiting(one.send_bytes, large[0]), waiting(two.send_bytes, large[1])]
    share(one)
    for each in sent:
        each.result(LONG)
    assert (two.recv_bytes(), one.recv_bytes()) == (large[0], large[1])


def test_a_stream_of_messages_goes_on_without_a_break(waiting, side):
    ends = reader, writer = Pipe(False)
    count = 3000

    def write():
        for number in range(count):
            writer.send(number)

    def read():
        return [reader.recv() for _ in range(count)]

    read_all = waiting(read)
    written = waiting(write)
    share(ends[side])
    written.result(LONG)
    assert read_all.result(LONG) == list(range(count))


@pytest.mark.parametrize("asked_before", [True, False])
def test_a_number_that_the_program_has_kept_stays_valid(asked_before, side):
    ends = reader, writer = Pipe(False)
    fd = reader.fileno() if asked_before else None
    share(ends[side])
    if fd is None:
        fd = reader.fileno()
    assert select.select([fd], [], [], 0)[0] == []
    writer.send(1)
    assert select.select([fd], [], [], LONG)[0] == [fd]
    assert reader.fileno() == fd
    reader.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        fcntl.fcntl(fd, fcntl.F_GETFD)


@pytest.mark.parametrize("collected", [False, True])
def test_with_an_end_that_is_gone_already(collected):
    one, two = Pipe()
    two.send("last words")
    if not collected:
        two.close()
    del two
    share(one)
    assert one.recv() == "last words"
    with pytest.raises(EOFError):
        one.recv()


def test_with_an_end_that_was_closed_without_reading():
    one, two = Pipe()
    one.send("never read")
    two.send("last words")
    two.close()
    share(one)
    assert one.recv() == "last words"
    with pytest.raises(EOFError):
        one.recv()


def test_a_pipe_that_cannot_be_shared_stays_as_it_was(own_session, monkeypatch):
    one, two = Pipe()
    one.send(1)

    def refuse(*_args, **_kwargs):
        raise ConnectionError("no store")

    with monkeypatch.context() as patch:
        patch.setattr(own_session.store, "cast", refuse)
        with pytest.raises(ConnectionError, match="no store"):
            share(one)
    assert two.recv() == 1
    two.send(2)
    assert one.recv() == 2


def test_its_keys_expire_when_the_session_is_gone(own_session):
    one, two = Pipe()
    one.send(1)
    two.send(2)
    share(one)
    for part in ("h0", "h1", "q0", "q1"):
        left = own_session.store.ask("PTTL", own_session.keys.object(one._shared.hold.oid, part))
        assert 0 < left <= own_session.ttl


def test_an_end_inside_a_message_of_its_own_pipe(pickled):
    one, two = Pipe()
    one.send_bytes(pickled(two))
    again = pickle.loads(two.recv_bytes())
    two.close()
    one.send("to whom it was sent")
    assert again.recv() == "to whom it was sent"


def test_both_ends_at_once_move_the_pipe_once(waiting, monkeypatch, own_session):
    one, two = Pipe()
    one.send("before")
    with one.moving:
        moved = [waiting(share, one), waiting(share, two)]
    for each in moved:
        each.result(LONG)
    assert one._shared.hold.oid == two._shared.hold.oid
    assert two.recv() == "before"
