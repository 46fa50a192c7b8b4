from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from transparent_mp.errors import StoreError
from transparent_mp.store.session import OwnedSession, join, new_id
from transparent_mp.worker.control import Control

LIMIT = 60.0


class Ears:
    """A control list, and the selector that tells when something has come."""

    def __init__(self, session: OwnedSession) -> None:
        self.session = join(session.ticket(), new_id(), session.config)
        self.selector = selectors.DefaultSelector()
        self.key = session.keys("control", "w")
        self.control = Control(self.session.store, self.key, self.selector, self._ready)
        self.heard: list[bytes] = []

    def _ready(self, _fd: Any) -> None:
        self.heard += self.control.words()

    def listen(self) -> None:
        """One round of what has happened."""
        happened = self.selector.select(LIMIT)
        assert happened
        for key, _ in happened:
            key.data(key.fileobj)

    def close(self) -> None:
        self.control.close()
        self.selector.close()
        self.session.store.close()


@pytest.fixture
def ears(session: OwnedSession) -> Iterator[Ears]:
    ears = Ears(session)
    yield ears
    ears.close()


def test_words_come_in_order_and_none_is_left_out(session: OwnedSession, ears: Ears) -> None:
    for number in range(5):
        session.store.call(("RPUSH", ears.key, number, number + 100))
        while len(ears.heard) < 2 * (number + 1):
            ears.listen()
    assert ears.heard == [b"%d" % (number + more) for number in range(5) for more in (0, 100)]
    assert ears.selector.select(0) == []


@pytest.mark.parametrize("served", [False, True])
def test_a_word_comes_once_though_its_connection_is_lost(
    session: OwnedSession, ears: Ears, served: bool
) -> None:
    for number in range(3):
        if served:
            session.store.call(("RPUSH", ears.key, number))
            while session.store.ask("LLEN", ears.key):
                continue
        line = ears.control._line
        before = line.fileno()
        assert line.link is not None
        line.link._sock.shutdown(socket.SHUT_RDWR)
        ears.listen()
        if not served:
            session.store.call(("RPUSH", ears.key, number))
        while len(ears.heard) <= number:
            ears.listen()
        # The selector knows the next connection and not the one before.
        assert line.fileno() in ears.selector.get_map()
        assert before == line.fileno() or before not in ears.selector.get_map()
    assert ears.heard == [b"0", b"1", b"2"]


def test_a_copy_that_a_child_has_of_an_ended_connection_does_not_pass_for_a_word(
    session: OwnedSession, ears: Ears
) -> None:
    """A fork takes descriptors along: what epoll was told of one is kept until the child closes its own."""
    line = ears.control._line
    for _ in range(2):
        copy = os.dup(line.fileno())
        assert line.link is not None
        line.link._sock.shutdown(socket.SHUT_RDWR)
        ears.listen()
        # Were there anything, it would be waited for, and the worker's lease would end meanwhile.
        assert ears.selector.select(0) == []
        assert list(ears.control.words()) == []
        os.close(copy)
    session.store.call(("RPUSH", ears.key, "a word"))
    while not ears.heard:
        ears.listen()
    assert ears.heard == [b"a word"]


def test_a_word_of_which_a_part_has_come_is_not_waited_for(session: OwnedSession, ears: Ears) -> None:
    link = ears.control._line.link
    assert link is not None
    link._feed(b"$6\r\na w")
    assert list(ears.control.words()) == []
    link._feed(b"ord\r\n")
    assert list(ears.control.words()) == [b"a word"]


def test_what_was_cast_is_told_again_when_its_connection_is_lost(session: OwnedSession, ears: Ears) -> None:
    store, key = ears.session.store, session.keys.object("o", "g")
    store.settle()
    store.cast(("INCR", key))
    assert store._line is not None
    assert store._line.link is not None
    store._line.link._sock.shutdown(socket.SHUT_RDWR)
    # Nobody calls: the end of the connection does.
    while store._line.lost():
        ears.listen()
    store.settle()
    assert session.store.ask("GET", key) == b"1"


def test_an_error_in_place_of_a_word_ends_the_worker(session: OwnedSession, ears: Ears) -> None:
    number = ears.control._line.link.number  # type: ignore[union-attr]
    session.store.call(("CLIENT", "UNBLOCK", number, "ERROR"))
    with pytest.raises(StoreError, match="ended a worker's wait"):
        ears.listen()
