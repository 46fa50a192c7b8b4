from __future__ import annotations

import gc
import os

import pytest

from transparent_mp.primitives import memory, segments, sharing
from transparent_mp.primitives.segments import Mapping, Segment, State
from transparent_mp.store.session import new_id


@pytest.fixture
def descriptors():
    """How many descriptors this process has open."""
    return lambda: len(os.listdir("/proc/self/fd"))


@pytest.fixture
def quiet(own_session):
    """A session in which nothing is exchanged when the test is over."""
    yield own_session
    gc.collect()
    exchange = memory._engine._exchange
    if exchange is not None:
        exchange.stop()
        memory._engine._exchange = None


def test_mappings_of_one_file_are_the_same_memory():
    fd = segments.nameless(5000)
    one, two = Mapping(fd, 5000), Mapping(fd, 5000)
    one.view[4999] = 1
    assert (two.view[4999], len(two.view), two.view[0]) == (1, 5000, 0)
    for mapping in (one, two):
        mapping.view.release()
        mapping.free()
    os.close(fd)


def test_memory_without_memfd(monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    fd = segments.nameless(10)
    assert os.pread(fd, 20, 0) == bytes(10)
    os.close(fd)


def test_what_is_shared_is_looked_at_elsewhere(quiet, descriptors):
    before = descriptors()
    made = Segment("one", State.PRIVATE, 9, segments.nameless(9))
    os.pwrite(made.fd, b"contents!", 0)
    made.share()
    assert made.state is State.SHARED
    oid = made.oid
    # As a name does.
    held = sharing.take(quiet, oid)
    del made
    gc.collect()
    found = Segment("one", State.WAITING, 9, segments.nameless(9))
    found.wait(held, ask=False)
    assert segments.waiting == {oid}
    assert os.pread(found.fd, 9, 0) == bytes(9)
    for _ in range(2):
        found.look()
    assert (os.pread(found.fd, 9, 0), found.state, segments.waiting) == (b"contents!", State.SHARED, set())
    assert found.hold().oid == oid
    del found, held
    gc.collect()
    # Those of the store's links apart.
    assert descriptors() <= before + 2


def test_what_nobody_looked_at_goes_without_a_look(quiet):
    segment = Segment("one", State.PRIVATE, 9, segments.nameless(9))
    segment.wait(sharing.create(quiet)[0], ask=True)
    del segment
    gc.collect()
    assert segments.waiting == set()


def test_a_client_that_lost_the_file_is_named(quiet, monkeypatch):
    segment = Segment("one", State.PRIVATE, 9, segments.nameless(9))
    segment.wait(sharing.create(quiet)[0], ask=True)
    asked = []

    def ask(session, topic, request):
        asked.append((session, topic, request))
        return {"gone": True}, b""

    monkeypatch.setattr(segments.requests, "ask", ask)
    with pytest.raises(FileNotFoundError, match="removed by another program: 'one'"):
        segment.look()
    assert asked == [(quiet, "segment", {"name": "one", "oid": segment.oid})]


def test_sharing_twice_is_sharing_once(quiet):
    segment = Segment("one", State.PRIVATE, 9, segments.nameless(9))
    oid = new_id()
    sharing.create(quiet)
    segment.share()
    first = segment.oid
    segment.share(oid)
    assert segment.oid == first
    segment.unshare()
