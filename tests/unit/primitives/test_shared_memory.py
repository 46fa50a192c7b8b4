from __future__ import annotations

import pickle

import pytest
from shm_names import entries, some_name

from transparent_mp.primitives import memory, names, segments
from transparent_mp.store.session import new_id

# Programs fork as they like; the exchange's thread does not run in the child.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.mark.usefixtures("place")
def test_what_nobody_knows_the_name_of_asks_the_store_for_nothing(shm, own_session):
    waits = own_session.store.waits
    one = shm(create=True, size=10)
    assert (own_session.store.waits, entries(own_session)) == (waits, 0)
    waits = own_session.store.waits
    other = shm(one.name)
    # Asked for its name, it is known; that alone waits for nothing.
    assert (own_session.store.waits, entries(own_session)) == (waits + 1, 1)
    other.buf[0] = 1
    assert one.buf[0] == 1
    for handle in (one, other):
        handle.close()
    one.unlink()


@pytest.mark.usefixtures("place", "own_session")
def test_a_name_asked_for_when_all_is_closed_still_finds_the_contents(shm):
    one = shm(create=True, size=5000)
    one.buf[4999] = 3
    one.close()
    two = shm(one.name)
    assert two.buf[4999] == 3
    two.close()
    two.unlink()


def test_an_attached_segment_is_looked_at_when_the_program_does(shm, place, own_session, joined):
    other = joined()
    other.uid = other.client = own_session.uid + "-client"
    engine = memory.Engine(other)
    plain = segments.Mapping(segments.nameless(6000), 6000)
    plain.view[5999] = 4
    replica = engine.share(plain)
    name = some_name()
    entry = names.Entry(replica.oid, 6000, names.STORE)
    other.store.ask(*names.enter(other, name, entry, must=False))
    waits = own_session.store.waits
    one = shm(name)
    assert own_session.store.waits == waits + 1
    assert segments.waiting == {replica.oid}
    two = shm(name)
    assert (one.buf[5999], two.buf[5999], segments.waiting) == (4, 4, set())
    # A third handle finds it looked at.
    three = shm(name)
    assert three.buf[5999] == 4
    for handle in (one, two, three):
        handle.close()
    one.unlink()


ATTACHING = """
from multiprocessing import shared_memory
memory = shared_memory.SharedMemory(given)
found = bytes(memory.buf[:3])
memory.buf[0] += 1
memory.close()
session.store.settle()
print(found, flush=True)
"""


@pytest.mark.parametrize("place", ["elsewhere"], indirect=True)
@pytest.mark.usefixtures("place")
def test_another_process_attaches_and_its_last_changes_come_at_close(shm, own_session, interpreter):
    one = shm(create=True, size=3)
    one.buf[:] = b"abc"
    name = one.name
    memory.synchronise()
    child = interpreter(ATTACHING, pickle.dumps(name))
    assert child.stdout.readline() == b"b'abc'\n"
    memory.synchronise()
    assert bytes(one.buf) == b"bbc"
    one.close()
    one.unlink()
    own_session.store.settle()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("unlinked", [False, True])
def test_a_handle_for_a_forked_child_needs_no_name(shm, own_session, by_value, unlinked):
    one = shm(create=True, size=4)
    one.buf[0] = 6
    one.label = "mine"
    if unlinked:
        one.unlink()
    child = new_id()
    data = by_value(one, child)
    held = own_session.store.ask("SMEMBERS", own_session.keys("holds", child))
    assert len(held) == 1
    segment = segments.mapped[one._mmap]
    assert held == [f"{segment.oid} 0".encode()]
    other = pickle.loads(data)
    assert (other.buf[0], other.label, other.name) == (6, "mine", one.name)
    if not unlinked:
        one.unlink()
    for handle in (one, other):
        handle.close()
    own_session.store.call(own_session.script("forget", ("objects", "keys"), (
        own_session.keys.base, own_session.keys.any_object, child, own_session.ttl
    )))  # fmt: skip


@pytest.mark.usefixtures("place", "own_session")
def test_a_closed_handle_stays_closed_in_a_forked_child(shm, by_value):
    one = shm(create=True, size=4)
    one.close()
    other = pickle.loads(by_value(one, "child"))
    assert (other.buf, other.size, other._name) == (None, 4, one._name)
    one.unlink()
