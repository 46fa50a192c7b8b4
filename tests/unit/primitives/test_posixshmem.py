from __future__ import annotations

import os
import subprocess
import sys

import pytest
from shm_names import FILES, entries, some_name

from transparent_mp.primitives import homes, names, segments
from transparent_mp.primitives.segments import State
from transparent_mp.store.session import new_id

# Programs fork as they like; the exchange's thread does not run in the child.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.mark.usefixtures("place")
def test_names_are_taken_found_and_lost(shm, own_session):
    name = some_name()
    with pytest.raises(FileNotFoundError, match=name):
        shm(name)
    one = shm(name, create=True, size=10)
    with pytest.raises(FileExistsError, match=name):
        shm(name, create=True, size=10)
    two = shm(name)
    two.buf[3] = 8
    assert (one.buf[3], two.size, two.name) == (8, 10, name)
    two.close()
    assert one.buf[3] == 8
    one.unlink()
    for gone in (lambda: shm(name), one.unlink):
        with pytest.raises(FileNotFoundError, match=name):
            gone()
    one.buf[4] = 9
    one.close()
    again = shm(name, create=True, size=10)
    assert bytes(again.buf) == bytes(10)
    again.close()
    again.unlink()
    assert entries(own_session) == 0


def test_a_name_that_another_process_has_taken(shm, place, own_session, joined, tracked):
    name, other = some_name(), joined()
    entry = names.Entry(new_id(), 8, names.STORE)
    other.store.ask(*names.enter(other, name, entry, must=False))
    with pytest.raises(FileExistsError, match=name):
        shm(name, create=True, size=10)
    assert (tracked, (FILES / name).exists()) == (set(), False)
    assert names.look_up(own_session, name) == entry
    found = shm(name)
    assert bytes(found.buf) == bytes(8)
    # Nothing of it lies on this machine.
    assert (tracked, (FILES / name).exists()) == (set(), False)
    found.close()
    found.unlink()


@pytest.mark.usefixtures("own_session")
def test_files_are_the_client_s_and_tracked(shm, place, tracked):
    name = some_name()
    one = shm(name, create=True, size=10)
    at_home = place == "home"
    assert (tracked == {"/" + name}, (FILES / name).exists()) == (at_home, at_home)
    one.close()
    one.unlink()
    assert not (FILES / name).exists()


@pytest.mark.usefixtures("place", "own_session")
def test_a_class_that_creates_what_is_not_there(shm):
    class Either(shm):
        _flags = os.O_CREAT | os.O_RDWR

    one = shm(some_name(), create=True, size=10)
    found = Either(one.name)
    assert found.size == 10
    found.close()
    one.close()
    one.unlink()


@pytest.mark.usefixtures("own_session", "place")
def test_nothing_is_fetched_to_unlink(shm, joined, own_session):
    other = joined()
    name = some_name()
    other.store.ask(*names.enter(other, name, names.Entry(new_id(), 2**30, names.STORE), must=False))
    before = own_session.store.waits
    found = shm(name)
    found.close()
    found.unlink()
    assert own_session.store.waits == before + 2


@pytest.mark.usefixtures("place", "own_session")
def test_a_real_fork_shares_memory_with_its_parent(shm):
    one = shm(some_name(), create=True, size=4)
    one.buf[0] = 1
    child = os.fork()
    if child == 0:
        one.buf[1] = one.buf[0] + 1
        os._exit(int(segments.mapped[one._mmap].state is not State.INHERITED))
    assert os.waitpid(child, 0)[1] == 0
    assert bytes(one.buf) == b"\1\2\0\0"
    one.close()
    one.unlink()


def test_memory_of_another_program_is_found_at_home_only(shm, place, tracked):
    name = some_name()
    code = (
        "import sys; from multiprocessing import shared_memory as s, resource_tracker as r;"
        "m = s.SharedMemory(sys.argv[1], create=True, size=5); m.buf[0] = 5;"
        "r.unregister(m._name, 'shared_memory')"
    )
    subprocess.run([sys.executable, "-E", "-c", code, name], check=True)
    if place == "elsewhere":
        with pytest.raises(FileNotFoundError):
            shm(name)
        (FILES / name).unlink()
        return
    found = shm(name)
    assert (found.buf[0], homes.is_entered(name), tracked) == (5, True, {"/" + name})
    found.close()
    found.unlink()
