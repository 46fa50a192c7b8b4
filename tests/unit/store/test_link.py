from __future__ import annotations

import os
import select
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from transparent_mp.errors import StoreError, StoreReplyError
from transparent_mp.store.commands import SCATTER
from transparent_mp.store.link import Link

Ends = tuple[Link, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A link, and the socket at its other end."""
    ours, theirs = socket.socketpair()
    link = Link(ours, "redis://test")
    yield link, theirs
    link.close()
    theirs.close()


def test_small_and_large_arguments_are_one_command(ends: Ends) -> None:
    link, server = ends
    large = bytearray(b"x" * SCATTER)
    link.send([("SET", "key", 1.5), ("RPUSH", b"list", memoryview(large), 7)])
    expected = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$3\r\n1.5\r\n"
    expected += b"*4\r\n$5\r\nRPUSH\r\n$4\r\nlist\r\n$%d\r\n%s\r\n$1\r\n7\r\n" % (SCATTER, large)
    got = b""
    while len(got) < len(expected):
        got += server.recv(1 << 20)
    assert got == expected


def test_a_reply_in_pieces_is_waited_for_and_errors_are_returned(ends: Ends) -> None:
    link, server = ends
    assert not link.wait(0)
    server.sendall(b":1\r\n-ERR no\r\n$5\r\nab")
    assert link.wait(None)
    assert link.read() == 1
    error = link.read()
    assert isinstance(error, StoreReplyError)
    assert str(error) == "ERR no"
    server.sendall(b"cde\r\n")
    assert link.read() == b"abcde"
    link.pull()
    assert not link.arrived


def test_what_is_there_is_read_and_waited_for_only_while_it_is_nothing(ends: Ends) -> None:
    link, server = ends
    server.sendall(b":1\r\n:2\r\n$5\r\nab")
    link.pull(600)
    assert list(link.arrived) == [1, 2]
    # A part of another is none.
    link.arrived.clear()
    link.pull(0.01)
    assert not link.arrived
    later = threading.Timer(0.05, server.sendall, (b"cde\r\n",))
    later.start()
    link.pull(600)
    assert list(link.arrived) == [b"abcde"]
    later.join()


def test_an_answer_that_no_redis_gives_is_named(ends: Ends) -> None:
    link, server = ends
    server.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(StoreError, match=r"redis://test .*is it a Redis server\?"):
        link.read()


def test_an_error_that_a_signal_handler_raises_is_the_programs_own(ends: Ends) -> None:
    link, server = ends
    large = b"x" * 2**26

    def handle(*_: object) -> None:
        raise TimeoutError("too late")

    def interrupt() -> None:
        # More is to be sent than fits between the ends, so the link is in the middle of it.
        server.recv(1)
        os.kill(os.getpid(), signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, handle)
    thread = threading.Thread(target=interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(TimeoutError, match="too late"):
            link.read()
        thread.start()
        with pytest.raises(TimeoutError, match="too late"):
            link.send([("SET", "key", large)])
    finally:
        signal.signal(signal.SIGALRM, before)
    thread.join()
    assert not link.usable


def test_a_closed_connection_is_named_and_the_link_unusable(ends: Ends) -> None:
    link, server = ends
    assert link.usable
    server.close()
    with pytest.raises(StoreError, match="lost the connection to the store at redis://test"):
        link.read()
    assert not link.usable


@pytest.mark.parametrize("cut", [1, 4, 6, 7, 1000, 3005, 3006, 3007])
def test_a_large_reply_is_read_to_where_it_shall_lie(ends: Ends, cut: int) -> None:
    link, server = ends
    into, reply = bytearray(3000), b"$3000\r\n" + b"x" * 3000 + b"\r\n"
    server.sendall(reply[:cut])
    later = threading.Timer(0.01, server.sendall, (reply[cut:] + b":1\r\n",))
    later.start()
    assert link.read_large(memoryview(into))
    later.join()
    assert into == b"x" * 3000
    assert link.usable
    assert link.read() == 1


@pytest.mark.parametrize(
    "reply", [b"-ERR no\r\n", b"$-1\r\n", b"$2\r\nab\r\n", b"$3001\r\n" + b"x" * 3001 + b"\r\n", b":3000\r\n"]
)
def test_what_is_no_reply_of_that_length_is_read_as_any_other(ends: Ends, reply: bytes) -> None:
    link, server = ends
    server.sendall(reply + b":7\r\n")
    assert not link.read_large(memoryview(bytearray(3000)))
    link.read()
    assert link.read() == 7


def test_a_connection_that_ends_within_a_large_reply(ends: Ends) -> None:
    link, server = ends
    server.sendall(b"$3000\r\nxxx")
    server.close()
    with pytest.raises(StoreError, match="lost the connection"):
        link.read_large(memoryview(bytearray(3000)))
    assert not link.usable


class Counted:
    """A poll that counts how often it is asked."""

    def __init__(self, real: select.poll) -> None:
        self._real = real
        self.asked = 0

    def poll(self, timeout: float | None) -> list[tuple[int, int]]:
        self.asked += 1
        return self._real.poll(timeout)


def counted(link: Link) -> Counted:
    found = Counted(link._poller())
    link._poll = found  # type: ignore[assignment]
    return found


def test_what_did_not_fill_the_room_was_all_that_there_is(ends: Ends) -> None:
    link, server = ends
    poll = counted(link)
    server.sendall(b":1\r\n:2\r\n")
    link.pull()
    assert list(link.arrived) == [1, 2]
    assert poll.asked == 1


def test_what_was_seen_to_come_is_read_without_another_look(ends: Ends) -> None:
    link, server = ends
    poll = counted(link)
    server.sendall(b":1\r\n")
    link.gather(1, here=True)
    assert (link.read(), poll.asked) == (1, 0)
    # Only what was seen.
    server.sendall(b":2\r\n")
    threading.Timer(0.01, server.sendall, (b":3\r\n",)).start()
    link.gather(2, here=True)
    assert [link.read(), link.read()] == [2, 3]
    assert poll.asked > 0


def test_one_that_is_closed_or_dropped_is_not_used() -> None:
    for end in (Link.close, Link.drop, Link.spoil):
        ours, theirs = socket.socketpair()
        link = Link(ours, "redis://test")
        end(link)
        assert not link.usable
        ours.close()
        theirs.close()
