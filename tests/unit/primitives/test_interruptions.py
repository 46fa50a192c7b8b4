"""What a signal's handler raises in the middle of an operation leaves the next ones as they were.

It is raised at each place of the operation in turn (`injecting`). What was interrupted was done or was not;
a message that was taken may be lost with it, as in plain Python.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import signal
import threading
from multiprocessing import connection, sharedctypes, synchronize

import pytest
from injecting import Interrupted, each_point

from transparent_mp.primitives import memory, queues, streaming

# A connection that was interrupted while it was made is closed by nobody but the collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)

#: Seconds after which it hangs.
HANGS = 60
#: Seconds of a wait in vain.
MOMENT = 0.001

LAST = "last"


class Hangs(BaseException):
    """Raised in the middle of what does not end."""


@pytest.fixture(autouse=True)
def _ended():
    def hangs(*_):
        raise Hangs

    before = signal.signal(signal.SIGALRM, hangs)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def share(ours, by_value):
    """Make an object of a fork context, and share it."""

    def share(make, *args):
        made = make(*args, ctx=multiprocessing.get_context("fork"))
        by_value(made, "receiver")
        return made

    return share


@pytest.fixture
def pipe(ours, by_value):
    def pipe(*messages):
        one, two = connection.Pipe()
        by_value(one, "receiver")
        for message in messages:
            one.send(message)
        return one, two

    return pipe


@pytest.fixture
def interrupt(ours):
    """Run an operation on what is made anew for each of its points, and check what that is afterwards."""

    def interrupt(make, operate, check, step=1):
        store = ours.store
        # The places where it is connected are another's.
        store.unwatch(store.watch())
        count = 0
        for injector in each_point(step):
            made = make()
            store.settle()
            signal.setitimer(signal.ITIMER_REAL, HANGS)
            try:
                with contextlib.suppress(Interrupted), injector:
                    operate(made)
                check(made)
                go_on(store)
            except BaseException as error:
                raise AssertionError(f"after {injector.where}: {error!r}") from error
            count += 1
        assert count > 5

    return interrupt


def go_on(store):
    """The process can still use the store, from each of its threads."""
    assert store.ask("ECHO", "x") == b"x"
    store.settle()
    found = []

    def ask():
        with memory._engine._lock:
            found.append(store.ask("ECHO", "y"))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert found == [b"y"]
    assert gc.isenabled()


def is_free(lock):
    while lock._semlock._count():
        lock.release()
    assert lock._semlock._get_value() == 1
    assert lock.acquire(timeout=HANGS)
    lock.release()


def held(lock):
    lock.acquire()
    return lock


def within(lock):
    with lock:
        pass


LOCKS = {
    "lock": (synchronize.Lock,),
    "recursive": (synchronize.RLock,),
    "semaphore": (synchronize.Semaphore, 1),
}


@pytest.mark.parametrize("kind", LOCKS)
@pytest.mark.parametrize(
    "operate",
    [
        pytest.param(lambda lock: lock.acquire(), id="acquire"),
        pytest.param(lambda lock: lock.acquire(timeout=HANGS), id="timeout"),
        pytest.param(lambda lock: lock.acquire(False), id="at once"),
        pytest.param(within, id="with"),
    ],
)
def test_a_lock_is_not_lost(share, interrupt, kind, operate):
    interrupt(lambda: share(*LOCKS[kind]), operate, is_free)


@pytest.mark.parametrize("kind", LOCKS)
def test_a_release_is_done(share, interrupt, kind):
    interrupt(lambda: held(share(*LOCKS[kind])), lambda lock: lock.release(), is_free)


def test_a_wait_for_a_lock_in_vain_takes_nothing(share, interrupt):
    def make():
        return held(share(synchronize.Semaphore, 1))

    interrupt(make, lambda lock: lock.acquire(timeout=MOMENT), is_free, step=3)


def goes_on(ends, *before):
    one, two = ends
    one.send(LAST)
    got = list(iter(two.recv, LAST))
    assert got in ([], list(before))
    assert not two.poll(0)
    assert not two.poll(MOMENT)
    two.send("back")
    assert one.recv() == "back"


@pytest.mark.parametrize("size", [1, 300_000])
def test_a_message_that_is_sent(pipe, interrupt, size):
    content = bytes(size)
    interrupt(
        pipe, lambda ends: ends[0].send(content), lambda ends: goes_on(ends, content), 1 + size // 30_000
    )


def _armed(ends):
    ends[1].fileno()
    return ends


@pytest.mark.parametrize("prepare", [lambda ends: ends, _armed], ids=["plain", "watched"])
@pytest.mark.parametrize("size", [1, 300_000])
def test_a_message_that_is_received(pipe, interrupt, prepare, size):
    content = bytes(size)
    interrupt(
        lambda: prepare(pipe(content)),
        lambda ends: ends[1].recv(),
        lambda ends: goes_on(ends, content),
        1 + size // 30_000,
    )


def is_there(ends):
    assert ends[1].poll(HANGS)
    assert ends[1].recv() == "there"
    assert not ends[1].poll(0)
    goes_on(ends)
    assert connection.wait([ends[1]], 0) == []
    ends[0].send("more")
    assert connection.wait([ends[1]], HANGS) == [ends[1]]


@pytest.mark.parametrize(
    "operate",
    [
        pytest.param(lambda end: end.poll(0), id="poll"),
        pytest.param(lambda end: end.poll(HANGS), id="timeout"),
        pytest.param(lambda end: end.fileno(), id="fileno"),
        pytest.param(lambda end: connection.wait([end], HANGS), id="wait"),
    ],
)
def test_a_message_that_is_looked_for(pipe, interrupt, operate):
    interrupt(lambda: pipe("there"), lambda ends: operate(ends[1]), is_there)


def test_a_look_in_vain(pipe, interrupt):
    def check(ends):
        ends[0].send("there")
        is_there(ends)

    interrupt(pipe, lambda ends: ends[1].poll(MOMENT), check, step=5)


def flows(queue, *before):
    queue.put(LAST)
    got = list(iter(queue.get, LAST))
    assert got in ([], list(before))
    assert queue.empty()
    if isinstance(queue, queues.JoinableQueue):
        for _ in range(len(got) + 1):
            queue.task_done()
        with contextlib.suppress(ValueError):
            # For what was taken and lost.
            queue.task_done()
        queue.join()
    if queue._maxsize == 2:
        queue.put(1, timeout=HANGS)
        queue.put(2, timeout=HANGS)
        assert queue.full()


QUEUES = {"queue": (queues.Queue,), "bounded": (queues.Queue, 2), "joinable": (queues.JoinableQueue,)}


@pytest.mark.parametrize("kind", QUEUES)
def test_an_item_that_is_put(share, interrupt, kind):
    interrupt(lambda: share(*QUEUES[kind]), lambda queue: queue.put("x"), lambda queue: flows(queue, "x"))


@pytest.mark.parametrize("kind", QUEUES)
@pytest.mark.parametrize("timeout", [0, HANGS])
def test_an_item_that_is_taken(share, interrupt, kind, timeout):
    def make():
        queue = share(*QUEUES[kind])
        queue.put("x")
        return queue

    interrupt(make, lambda queue: queue.get(timeout=timeout), lambda queue: flows(queue, "x"))


@pytest.mark.parametrize("here", [0, 2])
def test_an_item_that_is_taken_of_several_at_once(ours, share, interrupt, monkeypatch, here):
    monkeypatch.setattr(ours, "client", ours.uid)
    # What is here stays.
    monkeypatch.setattr(streaming.Stream, "_look", lambda _: None)
    monkeypatch.setattr(streaming, "QUICK", HANGS)

    def make():
        queue = share(queues.Queue)
        for item in "abcde":
            queue.put(item)
        queue._reader.stream()
        stream = queue._reader._shared.stream
        stream.left(1)
        stream._row = streaming.ROW
        if here:
            assert queue.get() == "a"
            assert len(stream) == 4
        return queue

    def check(queue):
        queue.put(LAST)
        got = "".join(iter(queue.get, LAST))
        assert got in (("bcde", "cde") if here else ("abcde", "bcde"))

    interrupt(make, lambda queue: queue.get(timeout=HANGS), check)


def test_a_queue_that_is_looked_at(share, interrupt):
    interrupt(lambda: share(queues.Queue), lambda queue: (queue.empty(), queue.qsize()), flows)


def is_flag(event):
    event.set()
    assert event.is_set()
    assert event.wait(HANGS)
    event.clear()
    assert not event.wait(MOMENT)


@pytest.mark.parametrize("name", ["set", "clear", "is_set", "wait"])
def test_an_event(share, interrupt, name):
    def make():
        event = share(synchronize.Event)
        event.set()
        return event

    interrupt(make, lambda event: getattr(event, name)(), is_flag)


def test_a_wait_for_an_event_in_vain(share, interrupt):
    interrupt(lambda: share(synchronize.Event), lambda event: event.wait(MOMENT), is_flag, step=5)


def has_nobody(condition):
    while condition._lock._semlock._count():
        condition.release()
    with condition:
        assert not condition.wait(MOMENT)
        condition.notify_all()
    assert condition._sleeping_count.get_value() == 0
    is_free(condition._lock)


@pytest.mark.parametrize(
    ("operate", "step"),
    [
        pytest.param(lambda condition: condition.wait(MOMENT), 8, id="wait"),
        pytest.param(lambda condition: condition.notify(), 1, id="notify"),
        pytest.param(within, 1, id="with"),
    ],
)
def test_a_condition(share, interrupt, operate, step):
    interrupt(lambda: held(share(synchronize.Condition)), operate, has_nobody, step)


def test_a_barrier(share, interrupt):
    def lets_pass(barrier):
        barrier.reset()
        assert barrier.wait(HANGS) == 0
        assert barrier.n_waiting == 0
        assert not barrier.broken

    interrupt(lambda: share(synchronize.Barrier, 1), lambda barrier: barrier.wait(), lets_pass)


def test_a_value_under_its_lock(ours, by_value, interrupt):
    def make():
        value = sharedctypes.Value("i", 0, ctx=multiprocessing.get_context("fork"))
        by_value(value, "receiver")
        return value

    def count(value):
        with value.get_lock():
            value.value += 1

    def counts(value):
        while value.get_lock()._semlock._count():
            value.get_lock().release()
        before = value.value
        assert before in (0, 1)
        count(value)
        assert value.value == before + 1
        is_free(value.get_lock())

    interrupt(make, count, counts)
