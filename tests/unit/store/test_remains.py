"""What is left on connections of the dead is read by the server before they are closed."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from transparent_mp.store.remains import read_out

LONG = 30.0


@pytest.fixture
def pair():
    here, there = socket.socketpair()
    yield here, there
    here.close()
    there.close()


def test_it_waits_until_the_other_side_has_read_everything_and_closed(pair):
    here, there = pair
    here.sendall(b"sent before the death")
    heard = []

    def serve():
        # Answers as it reads, for longer than anybody wants to hear.
        while data := there.recv(4):
            heard.append(data)
            there.sendall(b"+OK\r\n")
        heard.append(b"the end")
        there.close()

    server = threading.Thread(target=serve)
    server.start()
    read_out([here], LONG)
    assert b"".join(heard) == b"sent before the deaththe end"
    server.join(LONG)
    assert here.fileno() == -1


def test_a_server_that_never_closes_is_waited_for_in_bounds(pair):
    here, _ = pair
    began = time.monotonic()
    read_out([here], 0.05)
    assert 0.05 <= time.monotonic() - began < LONG
    assert here.fileno() == -1


def test_one_that_was_reset_or_closed_is_at_its_end(pair):
    here, there = pair
    other, gone = socket.socketpair()
    gone.close()
    here.shutdown(socket.SHUT_RDWR)
    read_out([here, other], LONG)
    assert (here.fileno(), other.fileno()) == (-1, -1)
    assert there.recv(1) == b""


def test_nothing_to_read_takes_no_time():
    read_out([], LONG)
