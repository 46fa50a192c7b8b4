from __future__ import annotations

import logging
import os

import pytest

from transparent_mp.primitives import held as module
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.held import SLOTS, Held, leave, look
from transparent_mp.primitives.synchronize import RECURSIVE_MUTEX, SEM_VALUE_MAX, SEMAPHORE, SemLock

ONE, OTHER = "0123456789abcdef", "fedcba9876543210"


@pytest.fixture
def held():
    held = Held()
    yield held
    held.close()


@pytest.fixture
def own(held):
    """That of this process."""
    module.become_own(held)
    yield held
    module.become_own(None)


class TestWhatIsHeld:
    def test_is_what_was_noted_and_not_forgotten(self, held):
        assert held.objects() == []
        places = [held.note(oid) for oid in (ONE, OTHER)]
        assert sorted(held.objects()) == [ONE, OTHER]
        held.forget(places[0])
        assert held.objects() == [OTHER]

    def test_has_room_again_when_something_was_forgotten(self, held):
        places = [held.note(f"{number:016x}") for number in range(SLOTS)]
        assert held.note(ONE) == -1
        assert len(held.objects()) == SLOTS
        held.forget(places[7])
        assert held.note(ONE) == places[7]

    def test_outlives_the_process_which_alone_notes_it(self, own):
        child = os.fork()
        if child == 0:
            # The parent's is not its own.
            os._exit(module.note(OTHER) + 1)
        assert os.waitpid(child, 0)[1] == 0
        child = os.fork()
        if child == 0:
            module.become_own(own)
            module.note(ONE)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert own.objects() == [ONE]

    def test_what_a_program_has_overwritten_is_none(self, held):
        at = held.note(ONE)
        held._memory[at : at + len(ONE)] = b"G" * len(ONE)
        assert held.objects() == []

    def test_without_a_supervisor_nothing_is_noted(self):
        assert module.note(ONE) == -1
        module.forget(-1)


@pytest.mark.parametrize(("kind", "maxvalue"), [(SEMAPHORE, 1), (RECURSIVE_MUTEX, 1)])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lock_is_noted_while_it_is_acquired_and_shared(own_session, own, kind, maxvalue, when):
    lock = SemLock(kind, 1, maxvalue)
    if when == "before":
        assert lock.acquire()
        assert own.objects() == []
    lock.share()
    for _ in range(3):
        assert lock.held() or lock.acquire()
        assert own.objects() == [lock._oid]
        lock.release()
        assert own.objects() == []
    assert lock.acquire(False)
    assert own.objects() == [lock._oid]


def test_of_others_nobody_knows_who_would_release_them(own_session, own):
    semaphore = SemLock(SEMAPHORE, 1, SEM_VALUE_MAX)
    semaphore.share()
    assert semaphore.acquire()
    assert own.objects() == []


class TestWhoWaits:
    @pytest.fixture
    def lock(self, own_session, own):
        lock = SemLock(SEMAPHORE, 1, 1)
        lock.share()
        lock.acquire()
        session = sessions.current()
        session.store.call(("HSET", session.keys("process", 7), "name", "the holder"))
        return lock

    def test_is_told_once_who_has_died_with_the_lock(self, lock, own, caplog, monkeypatch):
        session = sessions.current()
        session.store.call(*leave(session, own, 7, -9, "w"))
        monkeypatch.setattr(module, "AFTER", 0.01)
        assert not lock.acquire(True, 1.0)
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        said = record.getMessage()
        assert "MainProcess has waited for 0 s for a lock that the holder (pid 7, worker w) held" in said
        assert "ended with exit code -9: as in the standard library it stays locked" in said

    def test_is_told_of_an_end_that_comes_later(self, lock, own, caplog):
        session = sessions.current()
        assert look(session, lock._oid, 0.0) == module.AFTER
        assert look(session, lock._oid, module.AFTER) == 2 * module.AFTER
        assert caplog.records == []
        session.store.call(*leave(session, own, 7, 3, "w"))
        assert look(session, lock._oid, 3 * module.AFTER) is None
        assert "has waited for 15 s" in caplog.text

    @pytest.mark.parametrize("until", ["it is released", "it is free", "it is gone"])
    def test_is_told_nothing_of_a_lock_that_somebody_has_released(self, lock, own, until):
        session = sessions.current()
        if until == "it is released":
            session.store.call(*leave(session, own, 7, -9, "w"))
            assert session.store.ask("EXISTS", lock._state) == 1
            lock.release()
        elif until == "it is free":
            lock.give()
            assert session.store.call(*leave(session, own, 7, -9, "w")) == [0]
        else:
            session.store.call(("DEL", lock._holders))
            assert session.store.call(*leave(session, own, 7, -9, "w")) == [0]
        session.store.settle()
        assert session.store.ask("EXISTS", lock._state) == 0

    def test_what_is_kept_goes_with_the_lock_or_the_session(self, lock, own):
        session = sessions.current()
        session.store.call(*leave(session, own, 7, -9, "w"))
        assert 0 < session.store.ask("PTTL", lock._state) <= session.ttl
