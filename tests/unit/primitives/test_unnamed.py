from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from multiprocessing import shared_memory as stdlib

import pytest
from shm_names import FILES, some_name

from transparent_mp.primitives import unnamed

# Programs fork as they like; the exchange's thread does not run in the child.
pytestmark = [
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
    pytest.mark.skipif(not unnamed._possible(), reason="no files here without a name"),
]


@pytest.fixture(autouse=True)
def client(own_session, monkeypatch) -> Iterator[None]:
    """This process as the client, which has nothing left of such files in the end."""
    monkeypatch.setattr(own_session, "client", own_session.uid)
    yield
    left = unnamed._unnamed
    assert (left.by_name, left.untold, left.ended) == ({}, set(), set())


def file_of(handle) -> bool:
    """Whether there is a file of that name; does not ask for it."""
    return (FILES / handle._name.lstrip("/")).exists()


def files_open() -> list[str]:
    """Shared memory that this process has a descriptor of."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        # The one by which they were listed is no more.
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
    return [path for path in found if path.startswith(str(FILES))]


def test_it_has_a_name_when_somebody_asks_for_it(shm, tracked):
    one = shm(create=True, size=10)
    one.buf[3] = 7
    assert (file_of(one), tracked) == (False, set())
    name = one.name
    assert (file_of(one), tracked) == (True, {"/" + name})
    assert (FILES / name).read_bytes()[3] == 7
    one.close()
    one.unlink()
    assert not file_of(one)


def test_nobody_is_told_of_one_that_never_had_one(shm, tracked):
    one = shm(create=True, size=10)
    name = one._name
    one.unlink()
    assert tracked == set()
    one.buf[0] = 1
    with pytest.raises(FileNotFoundError):
        shm(name)
    with pytest.raises(FileNotFoundError):
        one.unlink()
    one.close()


def test_it_keeps_no_descriptor_when_it_has_ended(shm):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        one = shm(create=True, size=10)
        one.close()
        one.unlink()
    assert len(os.listdir("/proc/self/fd")) == before


def test_who_attaches_it_by_that_name_has_known_it(shm):
    one = shm(create=True, size=10)
    one.buf[9] = 1
    two = shm(one._name)
    assert (two.buf[9], file_of(one)) == (1, True)
    two.close()
    one.close()
    one.unlink()


def test_one_whose_name_the_program_has_chosen_has_it_at_once(shm):
    one = shm(some_name(), create=True, size=10)
    assert file_of(one)
    one.close()
    one.unlink()


def test_a_handler_that_makes_one_meanwhile_chooses_by_itself(shm):
    assert not unnamed.allow(True)
    one = shm(some_name(), create=True, size=10)
    assert file_of(one)
    assert unnamed.allow(False)
    one.close()
    one.unlink()


def test_more_have_their_names_at_once(shm, monkeypatch):
    monkeypatch.setattr(unnamed, "MOST", 2)
    made = [shm(create=True, size=10) for _ in range(3)]
    assert [file_of(one) for one in made] == [False, False, True]
    for one in made:
        one.close()
        one.unlink()
        assert not file_of(one)


@pytest.mark.parametrize("why", ["not here", "no descriptor"])
def test_where_none_can_be_made_it_has_its_name_at_once(shm, monkeypatch, why):
    def fail(_mode: int) -> int:
        raise OSError(24, "Too many open files")

    if why == "not here":
        monkeypatch.setattr(unnamed, "_possible", lambda: False)
    else:
        monkeypatch.setattr(unnamed, "_open", fail)
    one = shm(create=True, size=10)
    assert file_of(one)
    one.close()
    one.unlink()


def test_what_was_begun_in_vain_is_not_what_it_is(shm, monkeypatch):
    """Its descriptor would be of another file than the one that has the name."""
    dup, failed = os.dup, []

    def fail_once(fd: int) -> int:
        if not failed:
            failed.append(fd)
            raise OSError(24, "Too many open files")
        return dup(fd)

    monkeypatch.setattr(os, "dup", fail_once)
    one = shm(create=True, size=10)
    assert (len(failed), file_of(one)) == (1, True)
    # Nothing but the one that has the name.
    assert set(files_open()) == {str(FILES) + one._name}
    one.buf[0] = 5
    two = shm(one.name)
    assert two.buf[0] == 5
    for handle in (one, two):
        handle.close()
    one.unlink()
    del one, two, handle
    assert files_open() == []


def test_one_of_two_processes_takes_the_name_away(shm):
    one = shm(create=True, size=10)
    child = os.fork()
    if child == 0:
        one.unlink()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(FileNotFoundError):
        one.unlink()
    # As in plain Python, its own tracker is not told that the other has done so.
    unnamed.resource_tracker.unregister(one._name, "shared_memory")
    one.close()


def test_a_name_that_is_another_s_is_not_given(shm, monkeypatch):
    taken = shm(some_name(), create=True, size=10)
    free = ["/" + some_name(), "/" + some_name()]
    chosen = iter([free[0], free[0], taken._name, free[1]])
    monkeypatch.setattr(stdlib, "_make_filename", lambda: next(chosen))
    one, two = shm(create=True, size=10), shm(create=True, size=10)
    assert [one._name, two._name] == free
    for handle in (taken, one, two):
        handle.close()
        handle.unlink()


def test_a_name_that_another_program_has_taken_meanwhile(shm):
    one = shm(create=True, size=10)
    name = one._name.lstrip("/")
    (FILES / name).write_bytes(b"another's")
    with pytest.raises(FileExistsError):
        one.name  # noqa: B018
    (FILES / name).unlink()
    assert one.name == name
    assert file_of(one)
    one.close()
    one.unlink()


def test_one_that_cannot_be_made_leaves_nothing(shm, monkeypatch):
    unlinked = []
    monkeypatch.setattr(unnamed.resource_tracker, "unregister", lambda name, _kind: unlinked.append(name))
    with pytest.raises((OSError, OverflowError, ValueError)):
        shm(create=True, size=1 << 62)
    assert len(unlinked) == 1
