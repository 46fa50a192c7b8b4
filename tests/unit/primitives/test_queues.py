from __future__ import annotations

import multiprocessing
import pickle
import threading
import time
import weakref
from queue import Empty, Full

import pytest

from transparent_mp.errors import StoreError
from transparent_mp.primitives import flow, queues, synchronize
from transparent_mp.primitives.queues import JoinableQueue, Queue, SimpleQueue

SHORT = 0.05
LONG = 20

pytestmark = pytest.mark.usefixtures("ours")


def context():
    return multiprocessing.get_context("fork")


def share(queue, pickled):
    return pickle.loads(pickled(queue, "receiver"))


@pytest.fixture(params=["local", "shared", "received", "crossed"])
def make(request, pickled):
    """Makes a queue as it is put into and as it is taken from."""

    def make(cls=Queue, *args):
        queue = cls(*args, ctx=context())
        if request.param == "local":
            return queue, queue
        again = share(queue, pickled)
        return {"shared": (queue, queue), "received": (again, again), "crossed": (queue, again)}[
            request.param
        ]

    return make


def end(queue):
    queue.close()
    queue.join_thread()


class TestQueue:
    def test_items_come_out_in_order(self, make):
        into, out = make()
        for number in range(50):
            into.put(number)
        assert [out.get(timeout=LONG) for _ in range(50)] == list(range(50))
        end(into)

    def test_nothing_in_it(self, make):
        _into, out = make()
        for call in (
            lambda: out.get(False),
            lambda: out.get_nowait(),
            lambda: out.get(True, 0),
            lambda: out.get(True, -1),
            lambda: out.get(False, LONG),
        ):
            with pytest.raises(Empty):
                call()
        begun = time.monotonic()
        with pytest.raises(Empty):
            out.get(True, SHORT)
        assert SHORT <= time.monotonic() - begun < LONG
        assert out.empty()

    def test_a_full_one_takes_no_more_until_a_place_is_free(self, make, waiting):
        into, out = make(Queue, 2)
        into.put(1)
        into.put(2)
        assert into.full()
        for call in (
            lambda: into.put(3, False),
            lambda: into.put_nowait(3),
            lambda: into.put(3, True, 0),
            lambda: into.put(3, False, LONG),
        ):
            with pytest.raises(Full):
                call()
        begun = time.monotonic()
        with pytest.raises(Full):
            into.put(3, True, SHORT)
        assert SHORT <= time.monotonic() - begun < LONG
        put = waiting(into.put, 3)
        assert out.get(timeout=LONG) == 1
        put.result(LONG)
        assert [out.get(timeout=LONG), out.get(timeout=LONG)] == [2, 3]
        assert not into.full()
        into.put(4, False)
        into.put(5, False)
        assert into.full()
        end(into)

    @pytest.mark.parametrize("maxsize", [0, 3])
    def test_knows_its_size(self, make, maxsize, until):
        into, out = make(Queue, maxsize)
        assert (into.qsize(), into.empty(), into.full()) == (0, True, False)
        into.put(1)
        into.put(2)
        until(lambda: not out.empty())
        assert (into.qsize(), out.qsize(), into.empty(), into.full()) == (2, 2, False, False)
        out.get()
        assert (into.qsize(), out.qsize()) == (1, 1)
        end(into)

    @pytest.mark.parametrize("timeout", [None, LONG])
    def test_who_waits_gets_what_is_put(self, make, waiting, timeout):
        into, out = make()
        found = [waiting(out.get, True, timeout) for _ in range(2)]
        begun = time.monotonic()
        into.put("a")
        into.put("b")
        assert sorted(each.result(LONG) for each in found) == ["a", "b"]
        assert time.monotonic() - begun < LONG / 2
        end(into)

    def test_an_item_that_cannot_be_pickled_gives_its_place_back(self, make, monkeypatch, until):
        into, out = make(Queue, 1)
        told = []
        # Called by CPython's feeder on the class, by name.
        monkeypatch.setattr(
            type(into), "_on_queue_feeder_error", staticmethod(lambda e, obj: told.append((e, obj)))
        )
        item = threading.Lock()
        into.put(item)
        until(lambda: told)
        assert isinstance(told[0][0], TypeError)
        assert told[0][1] is item
        until(lambda: not into.full())
        into.put("next", timeout=LONG)
        assert out.get(timeout=LONG) == "next"
        end(into)

    def test_an_error_that_is_kept_does_not_keep_who_put(self, make, monkeypatch, until):
        into, _out = make()
        kept = []
        monkeypatch.setattr(type(into), "_on_queue_feeder_error", staticmethod(lambda e, _: kept.append(e)))

        def put():
            local = threading.Event()
            into.put(threading.Lock())
            return weakref.ref(local)

        local = put()
        until(lambda: kept)
        assert local() is None
        end(into)

    def test_a_closed_one_refuses(self, make):
        into, _out = make()
        into.close()
        into.close()
        for call in (lambda: into.put(1), lambda: into.get(), lambda: into.get(False)):
            with pytest.raises(ValueError, match=r"is closed$"):
                call()

    def test_is_joined_once_it_is_closed(self, make):
        into, _out = make()
        with pytest.raises(AssertionError, match="not closed"):
            into.join_thread()
        into.close()
        into.join_thread()

    def test_cancelling_is_allowed_at_any_time(self, make):
        into, out = make()
        into.cancel_join_thread()
        into.put(1)
        assert out.get(timeout=LONG) == 1
        end(into)

    def test_large_items(self, make):
        into, out = make()
        into.put(bytes(1_000_000))
        assert out.get(timeout=LONG) == bytes(1_000_000)
        end(into)

    def test_closing_leaves_what_was_put_to_others(self, pickled):
        queue = Queue(ctx=context())
        again = share(queue, pickled)
        queue.put(1)
        end(queue)
        assert again.get(timeout=LONG) == 1


class TestSharing:
    def test_what_was_put_before_comes_first(self, pickled):
        queue = Queue(ctx=context())
        for number in range(2000):
            queue.put(number)
        again = share(queue, pickled)
        for number in range(2000, 2100):
            queue.put(number)
        assert [again.get(timeout=LONG) for _ in range(2100)] == list(range(2100))
        end(queue)

    def test_the_places_that_are_taken_stay_taken(self, pickled, until):
        queue = Queue(3, ctx=context())
        queue.put(1)
        queue.put(2)
        again = share(queue, pickled)
        again.put(3)
        assert queue.full()
        assert again.full()
        assert [queue.get(timeout=LONG), again.get(timeout=LONG), queue.get(timeout=LONG)] == [1, 2, 3]
        assert (queue.qsize(), again.qsize()) == (0, 0)
        end(queue)

    @pytest.mark.parametrize("maxsize", [0, 2])
    @pytest.mark.parametrize("timeout", [None, LONG])
    def test_a_thread_that_waits_to_get_goes_on(self, pickled, waiting, maxsize, timeout):
        queue = Queue(maxsize, ctx=context())
        found = waiting(queue.get, True, timeout)
        again = share(queue, pickled)
        begun = time.monotonic()
        again.put("from elsewhere")
        assert found.result(LONG) == "from elsewhere"
        assert time.monotonic() - begun < LONG / 2
        assert queue.qsize() == 0

    def test_threads_that_wait_behind_one_another_go_on(self, pickled, waiting):
        queue = Queue(ctx=context())
        impatient = waiting(queue.get, True, 10 * SHORT)
        patient = [waiting(queue.get), waiting(queue.get)]
        again = share(queue, pickled)
        with pytest.raises(Empty):
            impatient.result(LONG)
        again.put(1)
        again.put(2)
        assert sorted(each.result(LONG) for each in patient) == [1, 2]

    def test_a_thread_that_waits_to_put_goes_on(self, pickled, waiting):
        queue = Queue(1, ctx=context())
        queue.put(1)
        put = waiting(queue.put, 2)
        again = share(queue, pickled)
        assert again.get(timeout=LONG) == 1
        put.result(LONG)
        assert again.get(timeout=LONG) == 2
        end(queue)

    def test_a_shared_one_has_no_feeder_and_no_locks(self, pickled, own_session):
        queue = Queue(ctx=context())
        again = share(queue, pickled)
        before = threading.active_count()
        for each in (queue, again):
            each.put(1)
            assert isinstance(each._rlock, queues.NoLock)
            assert isinstance(each._wlock, queues.NoLock)
        assert threading.active_count() == before

    def test_an_item_is_pickled_as_it_is_when_it_is_put(self, pickled):
        queue = Queue(ctx=context())
        again = share(queue, pickled)
        item = [1]
        queue.put(item)
        item.append(2)
        assert again.get(timeout=LONG) == [1]

    def test_a_put_is_not_waited_for_and_a_get_once(self, pickled, own_session):
        queue = Queue(ctx=context())
        share(queue, pickled).close()
        queue.put(0)
        queue.get()
        before = own_session.store.waits
        for number in range(20):
            queue.put(number)
        assert own_session.store.waits == before
        for _ in range(20):
            queue.get()
        assert own_session.store.waits == before + 20

    def test_only_while_a_process_is_being_started(self):
        for queue in (Queue(ctx=context()), SimpleQueue(ctx=context()), JoinableQueue(ctx=context())):
            with pytest.raises(
                RuntimeError, match="should only be shared between processes through inheritance"
            ):
                pickle.dumps(queue)

    @pytest.mark.parametrize("cls", [Queue, SimpleQueue, JoinableQueue])
    def test_not_from_a_fork_context_to_another_also_once_shared(self, pickled, cls):
        if not hasattr(context().Lock(), "_is_fork_ctx"):
            pytest.skip("this Python lets them travel")
        queue = cls(ctx=context())
        for _ in range(2):
            with pytest.raises(RuntimeError, match="created in a fork context"):
                pickled(queue, "receiver", "spawn")
            pickled(queue, "receiver", "fork")

    def test_a_bound_beyond_what_a_semaphore_counts_does_not_change_the_size(self, pickled):
        queue = Queue(10 * synchronize.MOST_TOKENS, ctx=context())
        again = share(queue, pickled)
        assert (queue.qsize(), again.qsize()) == (0, 0)
        queue.put(1)
        assert (queue.qsize(), again.qsize()) == (1, 1)

    def test_between_processes(self, own_session, interpreter, pickled):
        queue, results = Queue(2, ctx=context()), SimpleQueue(ctx=context())
        process = interpreter(
            """
            queue, results = given
            for item in iter(queue.get, None):
                results.put(item * 2)
            """,
            pickled((queue, results), "child"),
            uid="child",
        )
        for number in range(10):
            queue.put(number, timeout=LONG)
        queue.put(None)
        assert [results.get() for _ in range(10)] == [2 * number for number in range(10)]
        assert process.wait(LONG) == 0

    def test_a_queue_that_ignores_broken_pipes(self, pickled, own_session):
        queue = Queue(ctx=context())
        queue._ignore_epipe = True
        again = share(queue, pickled)
        assert again._ignore_epipe
        queue._writer._shared.sent.broken = True
        queue.put(1)

    def test_nothing_is_left_in_the_store(self, own_session):
        from multiprocessing.reduction import ForkingPickler

        queue = Queue(2, ctx=context())
        uid = "gone"
        multiprocessing.context.set_spawning_popen(type("Popen", (), {"uid": uid, "method": "fork"}))
        try:
            ForkingPickler.dumps(queue)
        finally:
            multiprocessing.context.set_spawning_popen(None)
        oids = [queue._reader._shared.hold.oid, queue._sem._semlock._hold.oid]
        queue.put(1)
        queue.put(2)
        end(queue)
        del queue
        parts = own_session.keys.base, own_session.keys.any_object, uid, own_session.ttl
        own_session.store.call(own_session.script("forget", ("objects", "keys"), parts))
        for oid in oids:
            assert own_session.store.ask("KEYS", own_session.keys.object_base(oid) + "*") == []


class TestAhead:
    """A producer that is further ahead of its consumers than the window."""

    #: More than the window takes.
    WINDOW = 512
    MANY = 2 * WINDOW

    @pytest.fixture(params=["shared", "received"])
    def pair(self, request, pickled, monkeypatch):
        monkeypatch.setattr(flow, "MESSAGES", self.WINDOW)
        queue = Queue(ctx=context())
        again = share(queue, pickled)
        into, out = (queue, again) if request.param == "shared" else (again, queue)
        yield into, out
        into.close()
        # It would go on in the session of the next test.
        into._thread.join(LONG)
        assert not into._thread.is_alive()
        out.close()

    def test_is_never_held_up_and_the_store_does_not_fill(self, pair):
        into, out = pair
        for number in range(self.MANY):
            into.put(number)
        assert out._reader.length() <= self.WINDOW * (1 + 2 / flow.STEPS)
        assert into.qsize() >= self.MANY - 1
        assert [out.get(timeout=LONG) for _ in range(self.MANY)] == list(range(self.MANY))

    def test_large_items_wait_for_one_another(self, pair):
        into, out = pair
        for number in range(4):
            into.put(bytes([number]) * (flow.WINDOW + 1))
        assert out._reader.length() == 1
        assert [out.get(timeout=LONG)[0] for _ in range(4)] == [0, 1, 2, 3]

    def test_a_process_takes_what_it_put_itself(self, pair):
        into, _out = pair
        for number in range(self.MANY):
            into.put(number)
        assert [into.get(timeout=LONG) for _ in range(self.MANY)] == list(range(self.MANY))

    def test_goes_straight_to_the_store_again_once_it_was_caught_up_with(self, pair, until):
        into, out = pair
        for _ in range(self.MANY):
            into.put(0)
        for _ in range(self.MANY):
            out.get(timeout=LONG)
        until(into._direct)
        into.put("now")
        assert out._reader.length() == 1
        assert out.get() == "now"

    def test_several_producers_keep_their_order(self, pair):
        into, out = pair

        def produce(which):
            for number in range(self.MANY):
                into.put((which, number))

        threads = [threading.Thread(target=produce, args=(which,), daemon=True) for which in range(2)]
        for thread in threads:
            thread.start()
        found = {0: [], 1: []}
        for _ in range(2 * self.MANY):
            which, number = out.get(timeout=LONG)
            found[which].append(number)
        assert found == {0: list(range(self.MANY)), 1: list(range(self.MANY))}

    def test_is_joined_when_everything_was_taken(self, pair, waiting):
        into, out = pair
        for number in range(self.MANY):
            into.put(number)
        into.close()
        joined = waiting(into.join_thread)
        for number in range(self.MANY):
            assert out.get(timeout=LONG) == number
            if number < self.WINDOW // 2:
                assert not joined.done()
        joined.result(LONG)

    def test_is_not_joined_once_that_was_cancelled(self, pair):
        into, out = pair
        for number in range(self.MANY):
            into.put(number)
        into.cancel_join_thread()
        into.close()
        into.join_thread()
        assert into._thread.is_alive()
        assert [out.get(timeout=LONG) for _ in range(self.MANY)] == list(range(self.MANY))

    def test_an_item_that_cannot_be_pickled_is_left_out(self, pair, monkeypatch):
        into, out = pair
        told = []
        monkeypatch.setattr(
            type(into), "_on_queue_feeder_error", staticmethod(lambda e, obj: told.append((e, obj)))
        )
        for number in range(self.MANY):
            into.put(number)
        item = threading.Lock()
        into.put(item)
        into.put("next")
        for _ in range(self.MANY):
            out.get(timeout=LONG)
        assert out.get(timeout=LONG) == "next"
        assert isinstance(told[0][0], TypeError)
        assert told[0][1] is item

    def test_goes_on_when_a_consumer_has_died_with_what_it_took(self, pair, monkeypatch, own_session):
        monkeypatch.setattr(flow, "LOOK_EVERY", 0.05)
        into, out = pair
        for number in range(self.MANY):
            into.put(number)
        # Taken, and no token pushed.
        own_session.store.ask("DEL", out._reader._shared.inbound)
        found = []
        while not found or found[-1] != self.MANY - 1:
            found.append(out.get(timeout=LONG))
        assert found == list(range(found[0], self.MANY))

    # pytest counts the SystemExit that ends a thread for an error; threading does not.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_lost_store_is_reported_once_and_ends_what_feeds_it(self, pair, monkeypatch):
        into, out = pair
        told = []
        monkeypatch.setattr(type(into), "_on_queue_feeder_error", staticmethod(lambda e, _: told.append(e)))
        for number in range(self.MANY):
            into.put(number)

        def lost(*_args):
            raise StoreError("lost")

        monkeypatch.setattr(into._writer._shared.flow, "wait", lost)
        while into._thread.is_alive():
            out.get(timeout=LONG)
        assert [str(error) for error in told] == ["lost"]

    def test_bounded_and_joinable_ones_too(self, pickled):
        queue = JoinableQueue(3, ctx=context())
        again = share(queue, pickled)
        for number in range(3):
            again.put(bytes([number]) * (flow.WINDOW + 1))
        assert queue._reader.length() == 1
        with pytest.raises(Full):
            again.put(0, False)
        for number in range(3):
            assert queue.get(timeout=LONG)[0] == number
            queue.task_done()
        queue.join()
        end(again)


class TestJoinableQueue:
    def test_counts_what_is_unfinished(self, make, waiting):
        into, out = make(JoinableQueue)
        into.put(1)
        into.put(2)
        joined = waiting(into.join)
        for _ in range(2):
            assert not joined.done()
            out.get(timeout=LONG)
            out.task_done()
        joined.result(LONG)
        into.join()
        with pytest.raises(ValueError, match=r"^task_done\(\) called too many times$"):
            out.task_done()
        end(into)

    def test_neither_waits_for_an_answer(self, make, store_session):
        into, out = make(JoinableQueue)
        into.put(1)
        before = store_session.store.waits
        into.put(2)
        assert store_session.store.waits == before
        out.get(timeout=LONG)
        before = store_session.store.waits
        out.task_done()
        assert store_session.store.waits == before
        out.get(timeout=LONG)
        out.task_done()
        into.join()

    def test_what_another_has_taken_may_be_said_to_be_done(self, pickled):
        queue = JoinableQueue(ctx=context())
        again = share(queue, pickled)
        for number in range(2):
            queue.put(number)
            again.get(timeout=LONG)
        queue.task_done()
        again.task_done()
        queue.join()
        with pytest.raises(ValueError, match=r"^task_done\(\) called too many times$"):
            queue.task_done()
        # Not known to be too many when it is said.
        again.task_done()
        queue.put(2)
        assert queue.qsize() == 1
        with pytest.raises(ValueError, match=r"^task_done\(\) called too many times$"):
            again.get(timeout=LONG)
        assert again.get(timeout=LONG) == 2
        again.task_done()
        queue.join()

    def test_an_answer_that_says_why_it_was_not_done_is_raised(self):
        unfinished = queues.Unfinished()
        unfinished.answered(1)
        unfinished.check()
        unfinished.answered(StoreError("full"))
        with pytest.raises(StoreError, match="full"):
            unfinished.check()
        unfinished.check()

    def test_who_joins_is_taken_off_when_nothing_is_unfinished_or_it_is_interrupted(self, make):
        into, _out = make(JoinableQueue)
        into.join()
        into.put(1)

        def interrupted():
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            into._cond.wait_unless(interrupted)
        assert into._cond._sleeping_count.get_value() == 0

    def test_who_joins_while_it_is_shared_is_told(self, pickled, waiting):
        queue = JoinableQueue(ctx=context())
        queue.put(1)
        joined = waiting(queue.join)
        again = share(queue, pickled)
        assert not joined.done()
        assert again.get(timeout=LONG) == 1
        again.task_done()
        joined.result(LONG)
        end(queue)

    def test_full_and_closed(self, make):
        into, out = make(JoinableQueue, 1)
        into.put(1)
        with pytest.raises(Full):
            into.put(2, False)
        assert out.get(timeout=LONG) == 1
        out.task_done()
        into.join()
        into.close()
        with pytest.raises(ValueError, match=r"is closed$"):
            into.put(3)


class TestSimpleQueue:
    def test_items_come_out_in_order(self, make):
        into, out = make(SimpleQueue)
        assert out.empty()
        for number in range(50):
            into.put(number)
        assert not out.empty()
        assert [out.get() for _ in range(50)] == list(range(50))
        assert out.empty()

    def test_who_waits_gets_what_is_put(self, make, waiting):
        into, out = make(SimpleQueue)
        found = waiting(out.get)
        into.put(1)
        assert found.result(LONG) == 1

    def test_what_was_put_before_comes_first(self, pickled):
        queue = SimpleQueue(ctx=context())
        queue.put(1)
        again = share(queue, pickled)
        queue.put(2)
        again.put(3)
        assert [again.get(), queue.get(), again.get()] == [1, 2, 3]

    def test_an_item_that_cannot_be_pickled_is_refused_by_put(self, make):
        into, out = make(SimpleQueue)
        with pytest.raises(TypeError):
            into.put(threading.Lock())
        assert out.empty()

    def test_a_closed_one_refuses(self, make):
        into, _out = make(SimpleQueue)
        into.close()
        with pytest.raises(OSError, match="handle is closed"):
            into.put(1)
