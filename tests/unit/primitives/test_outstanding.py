from __future__ import annotations

import os
import select
import socket

import pytest

from transparent_mp.primitives import watching
from transparent_mp.primitives.outstanding import Outstanding
from transparent_mp.store.session import new_id

LONG = 20


@pytest.fixture
def key(own_session):
    key = own_session.keys.object(new_id(), "q0")
    yield key
    own_session.store.call(("DEL", key))


@pytest.fixture
def pop(own_session, key):
    pop = Outstanding(own_session.store, key)
    yield pop
    pop.close()


@pytest.fixture
def push(own_session, key):
    return lambda *elements: own_session.store.call(("RPUSH", key, *elements))


def readable(pop, timeout=0.0, then=()):
    return bool(select.select([pop.fileno(then)], [], [], timeout)[0])


def taken(pop, then=()):
    assert readable(pop, LONG, then)
    return pop.take()


def test_the_fd_tells_that_it_was_served_and_its_answer_brings_the_element(pop, push):
    assert not readable(pop)
    assert pop.take() == []
    push("a", "b")
    assert [taken(pop), taken(pop)] == [[b"a"], [b"b"]]
    assert not readable(pop)


def test_what_stands_behind_it_comes_along(pop, push, key):
    push("a", "b", "c")
    assert taken(pop, (("LPOP", key, "2"),)) == [b"a", [b"b", b"c"]]


def test_it_is_sent_once_until_it_is_taken(pop, push, own_session):
    waits = own_session.store.waits
    readable(pop)
    readable(pop)
    assert own_session.store.waits == waits + 1


@pytest.mark.parametrize("served", [True, False])
def test_its_connection_is_lost(pop, push, served):
    assert not readable(pop)
    connection = pop._line.link._sock
    if served:
        push("a")
        assert readable(pop, LONG)
    # The answer goes with the connection.
    with socket.socket() as closed:
        os.dup2(closed.fileno(), connection.fileno())
    found = taken(pop)
    if not served:
        assert found == []
        push("a")
        found = taken(pop)
    assert found == [b"a"]
    assert not readable(pop)


def test_whether_it_was_served_is_known_before_its_answer_is_here(pop, push, own_session):
    assert not pop.silent()
    readable(pop)
    assert pop.silent()
    assert not pop.came(own_session.store.ask(*pop.length))
    push("a")
    assert pop.came(own_session.store.ask(*pop.length))
    assert not pop.silent(LONG)
    assert pop.take() == [b"a"]
    assert not pop.came(own_session.store.ask(*pop.length))


def test_closed_it_has_no_connection(own_session, key):
    pop = Outstanding(own_session.store, key)
    readable(pop)
    pop.close()
    assert pop not in watching._others
    assert not pop._line.usable
