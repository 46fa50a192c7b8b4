from __future__ import annotations

import pickle

import pytest
from shm_names import FILES

from transparent_mp.primitives import homes, memory, names, segments
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.segments import State
from transparent_mp.store.session import new_id

pytestmark = [
    pytest.mark.parametrize("place", ["home"], indirect=True),
    pytest.mark.usefixtures("place"),
]


LOOKING = """
from multiprocessing import shared_memory
memory = shared_memory.SharedMemory(given)
print(bytes(memory.buf[:3]), flush=True)
memory.close()
session.store.settle()
"""


@pytest.fixture
def home(shm):
    """A handle of a file that the session knows."""
    handle = shm(f"unit_{new_id()}", create=True, size=5000)
    handle.buf[:3] = b"own"
    yield handle
    if handle.name in homes._homes.by_name:
        handle.unlink()
    handle.close()


def entry(session, handle):
    return names.look_up(session, handle.name)


def test_contents_come_into_the_store_when_somebody_asks(home, own_session, interpreter):
    known = entry(own_session, home)
    assert known.where == names.CLIENT
    assert own_session.store.ask("EXISTS", own_session.keys.object(known.oid, "d")) == 0
    for _ in range(2):
        assert homes.answer({"name": home.name, "oid": known.oid}) == ({}, b"")
    assert entry(own_session, home) == known._replace(where=names.FILE)
    assert segments.live[home.name].state is State.SHARED
    home.buf[0] = ord("O")
    memory.synchronise()
    child = interpreter(LOOKING, pickle.dumps(home.name))
    assert child.stdout.readline() == b"b'Own'\n"


def test_contents_of_a_file_that_nobody_has_open(home, own_session, interpreter):
    home.close()
    homes.answer({"name": home.name, "oid": entry(own_session, home).oid})
    child = interpreter(LOOKING, pickle.dumps(home.name))
    assert child.stdout.readline() == b"b'own'\n"
    assert memory._engine._replicas() == []


def test_a_file_that_another_program_removed(home, own_session):
    home.close()
    segments.unlink_file(home.name)
    oid = entry(own_session, home).oid
    assert homes.answer({"name": home.name, "oid": oid}) == ({"gone": True}, b"")
    with pytest.raises(FileNotFoundError):
        home.unlink()
    # For the tracker: plain Python's forgets it no sooner either.
    homes.remove(home.name)
    assert entry(own_session, home) is None


def test_a_name_that_is_asked_for_too_late(home):
    assert homes.answer({"name": "unit_never", "oid": new_id()}) == ({}, b"")


@pytest.mark.parametrize("left", [0, 1])
def test_a_name_that_is_taken_away_elsewhere(home, own_session, left):
    oid = entry(own_session, home).oid
    homes.on_unlinked({"name": home.name, "oid": oid, "left": left}, b"")
    assert not (FILES / home.name).exists()
    assert own_session.store.ask("EXISTS", own_session.keys.object(oid, "d")) == left
    assert home.name not in segments.live
    assert bytes(home.buf[:3]) == b"own"
    names.unlink(own_session, home.name)


def test_the_next_file_of_that_name_is_another(home, own_session):
    homes.on_unlinked({"name": home.name, "oid": new_id(), "left": 1}, b"")
    assert (FILES / home.name).exists()
    assert entry(own_session, home).where == names.CLIENT


@pytest.mark.parametrize("then", ["create", "attach", "unlink"])
def test_what_the_client_does_before_it_has_heard(home, shm, own_session, joined, then):
    other = joined()
    other.client = own_session.uid
    found, _left = names.unlink(other, home.name)
    if then == "create":
        again = shm(home.name, create=True, size=10)
        assert bytes(again.buf) == bytes(10)
    else:
        with pytest.raises(FileNotFoundError):
            shm(home.name) if then == "attach" else home.unlink()
    # The word comes now; it is about the file before.
    homes.on_unlinked({"name": home.name, "oid": found.oid, "left": 0}, b"")
    assert (FILES / home.name).exists() == (then == "create")
    if then == "create":
        again.close()
    assert homes._homes.buried == set()


def test_files_from_before_the_session(shm, own_session):
    sessions.attach(None)
    handle = shm(f"unit_{new_id()}", create=True, size=10)
    other = shm(create=True, size=10)
    gone = shm(f"unit_{new_id()}", create=True, size=10)
    gone.close()
    gone.unlink()
    sessions.attach(own_session)
    homes.enter_all(own_session)
    assert [
        names.look_up(own_session, one._name.lstrip("/")) is not None for one in (handle, other, gone)
    ] == [
        True,
        False,
        False,
    ]
    for one in (handle, other):
        one.close()
        one.unlink()
