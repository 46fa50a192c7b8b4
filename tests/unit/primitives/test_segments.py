from __future__ import annotations

import errno
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


def test_a_large_segment_takes_room_for_what_is_written_in_it(quiet):
    size = 2**30
    made = Segment("one", State.PRIVATE, size, segments.nameless(size))
    for at in (5, 2**29, size - 1):
        os.pwrite(made.fd, b"x", at)
    made.share()
    os.pwrite(made.fd, b"y", 2**28)
    quiet.store.call(*memory.publish(), ("PING",))
    held = sharing.take(quiet, made.oid)
    found = Segment("one", State.WAITING, size, segments.nameless(size))
    made.unshare()
    made.state = State.INHERITED
    gc.collect()
    found.wait(held, ask=False)
    found.look()
    memory.synchronise()
    assert [os.pread(found.fd, 1, at) for at in (5, 2**28, 2**29, size - 1)] == [b"x", b"y", b"x", b"x"]
    for segment in (made, found):
        # Of 512 bytes; a page each, and room for what holds them.
        assert os.fstat(segment.fd).st_blocks < 2000


def test_a_kernel_that_does_not_say_what_was_written(monkeypatch):
    fd = segments.nameless(9000)
    mapping = Mapping(fd, 9000)
    assert list(mapping.stretches()) == []
    mapping.view[8192] = 1
    assert list(mapping.stretches()) == [(8192, 9000)]

    def refuse(*_args):
        raise OSError(errno.EINVAL, "not here")

    monkeypatch.setattr(os, "lseek", refuse)
    assert list(mapping.stretches()) == [(0, 9000)]
    mapping.view.release()
    mapping.free()
    os.close(fd)
