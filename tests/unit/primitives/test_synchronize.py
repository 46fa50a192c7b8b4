from __future__ import annotations

import contextlib
import gc
import pickle
import signal
import threading
import time
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from transparent_mp.primitives import sharing, synchronize
from transparent_mp.primitives.synchronize import (
    MOST_TOKENS,
    RECURSIVE_MUTEX,
    SEM_VALUE_MAX,
    SEMAPHORE,
    SemLock,
    getstate,
    sem_unlink,
)

#: Seconds of a time-out that must pass.
SHORT = 0.05
LONG = 20


class Interrupted(Exception):
    """Raised by a signal's handler, as KeyboardInterrupt is."""


@pytest.fixture
def interrupted():
    """SIGUSR1 raises Interrupted in the main thread."""

    def handler(*_):
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, handler)
    yield lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def elsewhere(state, kind, maxvalue):
    """The semaphore as another process has it."""
    with mock.patch.object(synchronize, "_known", synchronize._Known()):
        return SemLock._rebuild(state, kind, maxvalue, None)


def _plain(kind, value, maxvalue, _session):
    return SemLock(kind, value, maxvalue)


def _shared(kind, value, maxvalue, _session):
    lock = SemLock(kind, value, maxvalue)
    lock.share()
    return lock


def _rebuilt(kind, value, maxvalue, session):
    lock = SemLock(kind, value, maxvalue)
    state = lock.share()
    # What multiprocessing.synchronize's own pickles carry.
    again = elsewhere(state, kind, maxvalue)
    session.keep = lock
    return again


@pytest.fixture(params=[_plain, _shared, _rebuilt], ids=["local", "shared", "rebuilt"])
def make(request, own_session):
    def make(kind=SEMAPHORE, value=1, maxvalue=1):
        return request.param(kind, value, maxvalue, own_session)

    return make


def in_thread(function, *args):
    got = []
    thread = threading.Thread(target=lambda: got.append(function(*args)))
    thread.start()
    thread.join(LONG)
    return got[0]


def tokens(session, lock):
    return session.store.ask("LLEN", session.keys.object(lock._hold.oid, "q0"))


class TestEverywhere:
    """What holds of a local, a shared and a received semaphore alike."""

    def test_acquire_takes_and_release_gives_back(self, make):
        lock = make()
        assert lock._get_value() == 1
        assert lock.acquire() is True
        assert (lock._get_value(), lock._is_zero(), lock._count()) == (0, True, 1)
        lock.release()
        assert (lock._get_value(), lock._is_zero(), lock._count()) == (1, False, 0)

    def test_nothing_to_take(self, make):
        lock = make(SEMAPHORE, 0, 1)
        assert lock.acquire(False) is False
        assert lock.acquire(True, 0) is False
        assert lock.acquire(True, -5.0) is False
        assert lock.acquire(False, LONG) is False
        begun = time.monotonic()
        assert lock.acquire(True, SHORT) is False
        assert SHORT <= time.monotonic() - begun < LONG
        assert lock._count() == 0

    def test_a_counting_semaphore_gives_as_many_as_it_has(self, make):
        lock = make(SEMAPHORE, 3, SEM_VALUE_MAX)
        assert [lock.acquire(False) for _ in range(4)] == [True, True, True, False]
        for _ in range(5):
            lock.release()
        assert lock._get_value() == 5

    def test_a_bounded_one_is_not_released_beyond_its_bound(self, make):
        lock = make(SEMAPHORE, 2, 2)
        lock.acquire()
        lock.release()
        with pytest.raises(ValueError, match=r"^semaphore or lock released too many times$"):
            lock.release()
        assert (lock._get_value(), lock._count()) == (2, 0)

    def test_a_lock_may_be_released_by_another_thread(self, make):
        lock = make()
        lock.acquire()
        in_thread(lock.release)
        assert lock._get_value() == 1

    def test_a_recursive_mutex_belongs_to_a_thread(self, make):
        lock = make(RECURSIVE_MUTEX)
        assert [lock.acquire(), lock.acquire(), lock.acquire(False)] == [True, True, True]
        assert (lock._count(), lock._get_value(), lock._is_mine()) == (3, 0, True)
        assert in_thread(lock.acquire, False) is False
        assert in_thread(lock._is_mine) is False
        lock.release()
        lock.release()
        assert in_thread(lock.acquire, False) is False
        lock.release()
        assert (lock._count(), lock._get_value(), lock._is_mine()) == (0, 1, False)
        assert in_thread(lock.acquire, False) is True

    @pytest.mark.parametrize("owned_elsewhere", [False, True])
    def test_a_recursive_mutex_is_released_by_its_owner_only(self, make, owned_elsewhere):
        lock = make(RECURSIVE_MUTEX)
        if owned_elsewhere:
            in_thread(lock.acquire)
        with pytest.raises(AssertionError, match=r"^attempt to release recursive lock not owned by thread$"):
            lock.release()
        assert lock._get_value() == (0 if owned_elsewhere else 1)

    def test_is_a_context_manager(self, make):
        lock = make()
        with contextlib.suppress(ZeroDivisionError), lock as entered:
            assert entered is True
            assert lock._is_zero()
            raise ZeroDivisionError
        assert lock._get_value() == 1

    def test_a_waiting_thread_gets_what_is_released(self, make, waiting):
        lock = make(SEMAPHORE, 0, 2)
        one, two = waiting(lock.acquire), waiting(lock.acquire, True, LONG)
        lock.release()
        lock.release()
        assert one.result(LONG) is two.result(LONG) is True
        assert (lock._get_value(), lock._count()) == (0, 0)

    @pytest.mark.parametrize("timeout", [None, LONG])
    def test_an_interrupted_wait_takes_nothing(self, make, interrupted, meanwhile, timeout):
        lock = make(SEMAPHORE, 0, 1)
        meanwhile(interrupted)
        with pytest.raises(Interrupted):
            lock.acquire(True, timeout)
        assert lock._count() == 0
        lock.release()
        assert lock._get_value() == 1
        assert lock.acquire(False) is True

    def test_who_is_interrupted_leaves_what_came_to_the_next(self, make, waiting, meanwhile):
        lock = make(SEMAPHORE, 0, SEM_VALUE_MAX)
        others = []

        def handler(*_):
            lock.release()
            raise Interrupted

        def after_main_waits():
            # Behind the main thread in the queue of those who wait.
            others.append(waiting(lock.acquire, True, LONG))
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

        before = signal.signal(signal.SIGUSR1, handler)
        try:
            meanwhile(after_main_waits)
            with pytest.raises(Interrupted):
                lock.acquire(True, LONG)
        finally:
            signal.signal(signal.SIGUSR1, before)
        begun = time.monotonic()
        assert others[0].result(LONG + 5) is True
        assert time.monotonic() - begun < LONG / 2

    def test_a_forked_child_owns_nothing(self, make):
        lock = make(RECURSIVE_MUTEX)
        lock.acquire()
        lock._after_fork()
        assert (lock._count(), lock._is_mine()) == (0, False)


class TestMaking:
    def test_of_an_unknown_kind(self):
        with pytest.raises(ValueError, match=r"^unrecognized kind$"):
            SemLock(2, 1, 1)

    @pytest.mark.parametrize(("value", "maxvalue"), [(-1, 1), (SEM_VALUE_MAX + 1, SEM_VALUE_MAX)])
    def test_with_a_value_out_of_bounds(self, value, maxvalue):
        with pytest.raises(OSError, match="Invalid argument"):
            SemLock(SEMAPHORE, value, maxvalue)

    def test_shows_what_the_librarys_code_reads(self):
        lock = SemLock(RECURSIVE_MUTEX, 1, 1)
        assert (lock.kind, lock.maxvalue, lock.name) == (RECURSIVE_MUTEX, 1, None)
        assert SemLock.SEM_VALUE_MAX == 2**31 - 1

    def test_a_name_is_unlinked_once_and_only_while_its_semaphore_lives(self):
        lock = SemLock(SEMAPHORE, 1, 1, "/made", False)
        sem_unlink("/made")
        with pytest.raises(FileNotFoundError):
            sem_unlink("/made")
        lock = SemLock(SEMAPHORE, 1, 1, "/made", False)
        del lock
        gc.collect()
        with pytest.raises(FileNotFoundError):
            sem_unlink("/made")

    def test_a_name_that_was_unlinked_at_once_is_not_known(self):
        lock = SemLock(SEMAPHORE, 1, 1, "/made", True)
        with pytest.raises(FileNotFoundError):
            sem_unlink("/made")
        assert lock.acquire(False)


class TestSharing:
    @pytest.mark.parametrize(("value", "taken"), [(1, 0), (1, 1), (3, 2), (9000, 10)])
    def test_moves_exactly_the_tokens_that_were_left(self, own_session, value, taken):
        lock = SemLock(SEMAPHORE, value, SEM_VALUE_MAX)
        for _ in range(taken):
            lock.acquire()
        state = lock.share()
        assert lock._get_value() == tokens(own_session, lock) == value - taken
        assert lock._count() == taken
        assert lock.share() != state
        assert lock._get_value() == value - taken

    def test_has_a_bound_on_tokens(self, own_session, monkeypatch):
        monkeypatch.setattr(synchronize, "MOST_TOKENS", 10)
        lock = SemLock(SEMAPHORE, 500, 500)
        lock.share()
        assert lock._get_value() == 10
        with pytest.raises(ValueError, match="too many times"):
            lock.release()
        assert MOST_TOKENS > 10

    def test_its_keys_expire_when_the_session_is_gone(self, own_session):
        lock = SemLock(SEMAPHORE, 1, 1)
        lock.share()
        keys = [own_session.keys.object(lock._hold.oid, part) for part in ("h0", "q0")]
        assert all(0 < own_session.store.ask("PTTL", key) <= own_session.ttl for key in keys)
        lock.acquire()
        lock.release()
        assert 0 < own_session.store.ask("PTTL", keys[1]) <= own_session.ttl

    def test_who_waits_locally_goes_on_in_the_store(self, own_session, waiting, until, blocked):
        lock = SemLock(SEMAPHORE, 0, SEM_VALUE_MAX)
        forever, bounded = waiting(lock.acquire), waiting(lock.acquire, True, LONG)
        idle = blocked.count()
        lock.share()
        until(lambda: blocked.count() == idle + 2)
        lock.release()
        lock.release()
        assert forever.result(LONG) is bounded.result(LONG) is True
        assert lock._get_value() == 0

    def test_a_time_out_that_began_locally_ends_in_the_store(self, own_session, waiting):
        lock = SemLock(SEMAPHORE, 0, 1)
        begun = time.monotonic()
        found = waiting(lock.acquire, True, 10 * SHORT)
        lock.share()
        assert found.result(LONG) is False
        assert 10 * SHORT <= time.monotonic() - begun < LONG

    def test_an_owner_stays_an_owner(self, own_session):
        lock = SemLock(RECURSIVE_MUTEX, 1, 1)
        lock.acquire()
        lock.acquire()
        again = elsewhere(lock.share(), RECURSIVE_MUTEX, 1)
        assert again.acquire(False) is False
        lock.release()
        assert again.acquire(False) is False
        lock.release()
        assert again.acquire(False) is True

    def test_a_process_has_one_of_each(self, own_session, player):
        lock = SemLock(RECURSIVE_MUTEX, 1, 1)
        first = SemLock._rebuild(lock.share(), RECURSIVE_MUTEX, 1, None)
        assert first is lock
        assert first.acquire(False) is lock.acquire(False) is True
        assert lock._count() == 2
        other = player()
        theirs = other(SemLock._rebuild, lock.share(), RECURSIVE_MUTEX, 1, None)
        assert theirs is not lock
        assert other(SemLock._rebuild, lock.share(), RECURSIVE_MUTEX, 1, None) is theirs
        assert other(theirs.acquire, False) is False

    def test_two_processes_exclude_each_other(self, own_session, player, blocked):
        mine, other = SemLock(SEMAPHORE, 1, 1), player()
        theirs = other(SemLock._rebuild, mine.share(), SEMAPHORE, 1, None)
        mine.acquire()
        assert other(theirs.acquire, False) is False
        taken = blocked(theirs.acquire, start=other.begin)
        mine.release()
        assert taken.result(LONG) is True
        assert mine.acquire(False) is False
        # Not its owner in this process, so its count goes below zero, as in the library.
        mine.release()
        assert (mine._get_value(), mine._count()) == (1, -1)

    def test_a_release_beyond_the_bound_is_refused_to_who_has_not_acquired(self, own_session, player):
        mine, other = SemLock(SEMAPHORE, 1, 1), player()
        theirs = other(SemLock._rebuild, mine.share(), SEMAPHORE, 1, None)
        with pytest.raises(ValueError, match="too many times"):
            other(theirs.release)
        assert mine._get_value() == 1

    @pytest.mark.parametrize("pause", [0.0, 0.0002, 0.0005, 0.001])
    def test_a_token_that_comes_while_an_interrupt_is_seen_to_is_put_back(
        self, own_session, interrupted, meanwhile, pause
    ):
        lock = SemLock(SEMAPHORE, 0, 1)
        giver = elsewhere(lock.share(), SEMAPHORE, 1)
        for _ in range(5):
            both = meanwhile(lambda: (interrupted(), time.sleep(pause), giver.release()))
            with pytest.raises(Interrupted):
                lock.acquire(True, LONG)
            both.result(LONG)
            assert lock._count() == 0
            assert lock._get_value() == 1
            assert lock.acquire(False) is True
            lock._acquired = 0

    def test_who_is_killed_while_it_waits_takes_none(self, own_session, interpreter, blocked, until):
        lock = SemLock(SEMAPHORE, 0, 1)
        state = lock.share()
        idle = blocked.count()
        process = interpreter(
            """
            from transparent_mp.primitives.synchronize import SemLock
            SemLock._rebuild(given, 1, 1, None).acquire()
            """,
            pickle.dumps(state),
        )
        until(lambda: blocked.count() > idle)
        process.kill()
        process.wait()
        until(lambda: blocked.count() == idle)
        lock.release()
        assert lock._get_value() == 1


class TestPickles:
    def context(self, method):
        import multiprocessing

        return multiprocessing.get_context(method)

    def test_a_lock_goes_to_a_process_being_started_only(self, ours):
        with pytest.raises(RuntimeError, match="should only be shared between processes through inheritance"):
            getstate(self.context("spawn").Lock())

    @pytest.mark.parametrize("method", ["spawn", "forkserver"])
    def test_a_lock_of_a_fork_context_does_not_go_to_others(self, ours, pickled, method):
        lock = self.context("fork").Lock()
        if not hasattr(lock, "_is_fork_ctx"):
            pytest.skip("this Python lets it travel")
        with pytest.raises(
            RuntimeError, match="created in a fork context is being shared with a process in a spawn"
        ):
            pickled(lock, "receiver", method)
        assert lock._semlock._hold is None

    @pytest.mark.parametrize("maker", ["fork", "spawn", "forkserver"])
    def test_a_lock_arrives(self, ours, pickled, player, maker):
        other = player()
        lock = self.context(maker).RLock()
        data = pickled(lock, other.uid, maker)
        again = other(pickle.loads, data)
        assert other(again.acquire) is True
        assert lock.acquire(False) is False
        other(again.release)
        other(other.session.store.settle)
        assert lock.acquire(False) is True
        assert ours.store.ask("SISMEMBER", ours.keys("holds", other.uid), f"{lock._semlock._hold.oid} 0") == 1

    def test_what_arrived_may_go_on_to_any(self, ours, pickled, player):
        other = player()
        lock = self.context("fork").Lock()
        again = other(pickle.loads, pickled(lock, other.uid, "fork"))
        assert other(pickled, again, "a third", "spawn")

    def test_the_librarys_own_classes_stand_on_it(self, ours, pickled, player, blocked):
        other = player()
        condition = self.context("spawn").Condition()
        theirs = other(pickle.loads, pickled(condition, other.uid, "spawn"))

        def wait():
            with theirs:
                return theirs.wait(LONG)

        woken = blocked(wait, start=other.begin)
        with condition:
            condition.notify()
        assert woken.result(LONG) is True


class Semaphores(RuleBasedStateMachine):
    """A semaphore against a count; sharing, and a second object for it, may come at any time."""

    player = None

    def __init__(self):
        super().__init__()
        self.objects = []
        self.acquired = []
        self.value = self.bound = 0

    @precondition(lambda self: not self.objects)
    @rule(value=st.integers(0, 5), room=st.integers(0, 3), bounded=st.booleans())
    def make(self, value, room, bounded):
        self.bound = value + room if bounded else SEM_VALUE_MAX
        self.value = value
        self.objects = [SemLock(SEMAPHORE, value, self.bound)]
        self.acquired = [0]

    @precondition(lambda self: self.objects)
    @rule(data=st.data())
    def share(self, data):
        whose = data.draw(st.sampled_from(self.objects))
        state = whose.share()
        if len(self.objects) < 3:
            self.objects.append(elsewhere(state, SEMAPHORE, self.bound))
            self.acquired.append(0)

    @precondition(lambda self: self.objects)
    @rule(data=st.data(), how=st.sampled_from([(False,), (True, 0), (True, 0.001)]))
    def acquire(self, data, how):
        at = data.draw(st.integers(0, len(self.objects) - 1))
        taken = self.objects[at].acquire(*how)
        assert taken is (self.value > 0)
        if taken:
            self.value -= 1
            self.acquired[at] += 1

    @precondition(lambda self: self.objects)
    @rule(data=st.data())
    def release(self, data):
        at = data.draw(st.integers(0, len(self.objects) - 1))
        if self.value < self.bound:
            self.objects[at].release()
            self.value += 1
            self.acquired[at] -= 1
        elif self.acquired[at] <= 0:
            with pytest.raises(ValueError, match="too many times"):
                self.objects[at].release()

    @precondition(lambda self: self.objects)
    @invariant()
    def the_count_is_the_models(self):
        for lock, acquired in zip(self.objects, self.acquired):
            assert lock._get_value() == self.value
            assert lock._count() == acquired


def test_a_semaphore_counts_as_its_model_does(own_session):
    run_state_machine_as_test(
        Semaphores,
        settings=settings(
            max_examples=60,
            stateful_step_count=20,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert sharing.create(own_session)
