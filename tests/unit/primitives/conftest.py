"""A store of the tests' own, sessions in it, and what plays further processes of a session.

A second process is played by a thread with a session and holds of its own (`player`), or is an
interpreter of its own where a test kills it (`interpreter`).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import pickle
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import context, resource_tracker
from multiprocessing import shared_memory as stdlib
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest
from plain_memory import Process

from transparent_mp.config import Config
from transparent_mp.intercept.apply import Applied
from transparent_mp.intercept.patches import TABLE
from transparent_mp.launch import fleet
from transparent_mp.primitives import memory, posixshmem, reduction, segments, sharing, starter
from transparent_mp.primitives import session as sessions
from transparent_mp.ship.frames import decode, encode
from transparent_mp.store.connect import connect
from transparent_mp.store.scripts import loading
from transparent_mp.store.session import OwnedSession, join, new_id, open_session
from transparent_mp.store.store import Store

ROOT = Path(sharing.__file__).parents[2]

#: Modules whose names become ours in `ours`: the leaves below Process.
LEAVES = (
    "_multiprocessing",
    "multiprocessing.synchronize",
    "multiprocessing.connection",
    "multiprocessing.queues",
    "multiprocessing.heap",
    "multiprocessing.sharedctypes",
)

#: Seconds after which a test that waits for something has failed.
PATIENCE = 20

#: First lines of a program that is a process of a session: its ticket is the first line of its input.
JOINING = """
import json, sys
sys.path[:0] = {root!r},
from transparent_mp.config import Config
from transparent_mp.intercept import install
install("worker")
import multiprocessing.queues, multiprocessing.synchronize
from transparent_mp.primitives import session as sessions
from transparent_mp.store.session import join
ticket = json.loads(sys.stdin.readline())
sessions.attach(join(ticket, ticket["uid"], Config()))
session = sessions.current()
given = __import__("pickle").loads(bytes.fromhex(sys.stdin.readline()))
"""


@pytest.fixture(scope="session")
def store_session():
    """One session with an embedded server for the whole run."""
    session = open_session(Config())
    yield session
    session.end()


@pytest.fixture
def joined(store_session):
    """Makes sessions of further processes, as if each were a process of its own."""
    made = []

    def make():
        made.append(join(store_session.ticket(), new_id(), store_session.config))
        return made[-1]

    yield make
    for session in made:
        session.store.close()


@pytest.fixture
def processes(joined):
    """Makes processes that share one segment with those contents."""

    def make(contents, count=2):
        first = Process(joined(), contents)
        zeros = bytes(len(contents))
        return [first, *(Process(joined(), zeros, first.replica.oid) for _ in range(count - 1))]

    return make


@pytest.fixture
def own_session(joined):
    """The session of the test process itself."""
    before = sessions.attached()
    session = joined()
    sessions.attach(session)
    yield session
    # What is exchanged in the background would open a session for it.
    exchange, memory._engine._exchange = memory._engine._exchange, None
    if exchange is not None:
        exchange.stop()
    sessions.attach(before)


@pytest.fixture
def quiet(own_session):
    """The same, with nothing attached any more when the test is over."""
    yield own_session
    gc.collect()


@pytest.fixture
def ours(monkeypatch, own_session):
    """The library's leaves are ours, as the table of patches says; the session of this process."""
    rows = [row for row in TABLE if row.module in LEAVES]
    found = []
    for row in rows:
        module, name = row.replacement.split(":")
        found.append((f"{row.module}.{row.name}", getattr(importlib.import_module(module), name)))
    for target, replacement in found:
        monkeypatch.setattr(target, replacement)
    return own_session


class Spawning:
    """Stands for the Popen of a process that is being started."""

    def __init__(self, uid, method):
        self.uid = uid
        self.method = method


@pytest.fixture
def pickled():
    """The pickle of an object for a process being started (by its holder id), or for a message."""

    def pickled(obj, uid=None, method="fork"):
        if uid is None:
            return bytes(ForkingPickler.dumps(obj))
        context.set_spawning_popen(Spawning(uid, method))
        try:
            return bytes(ForkingPickler.dumps(obj))
        finally:
            context.set_spawning_popen(None)

    return pickled


@pytest.fixture
def by_value():
    """The pickle of an object for a process that is being forked (by its holder id)."""

    def by_value(obj, uid):
        context.set_spawning_popen(Spawning(uid, "fork"))
        try:
            return reduction.dumps(obj)
        finally:
            context.set_spawning_popen(None)

    return by_value


@pytest.fixture(params=["home", "elsewhere"])
def place(request, own_session, monkeypatch):
    """This process as the client, and as one on a worker."""
    if request.param == "home":
        monkeypatch.setattr(own_session, "client", own_session.uid)
    return request.param


@pytest.fixture
def tracked(monkeypatch):
    """Names that the resource tracker was told of."""
    found = set()
    monkeypatch.setattr(resource_tracker, "register", lambda name, _kind: found.add(name))
    monkeypatch.setattr(resource_tracker, "unregister", lambda name, _kind: found.remove(name))
    return found


@pytest.fixture
def shm(tracked):
    """The library's class over our leaf."""
    applied = Applied()
    for module in ("multiprocessing.shared_memory", "multiprocessing.resource_tracker"):
        applied.apply(importlib.import_module(module), [row for row in TABLE if row.module == module])
    yield stdlib.SharedMemory
    applied.close()
    gc.collect()
    # Its thread would go on in the session of the next test.
    exchange = memory._engine._exchange
    if exchange is not None:
        exchange.stop()
        memory._engine._exchange = None
    # Nor would its dead.
    memory._engine._chosen(())
    assert (tracked, posixshmem.place.opening, segments.waiting) == (set(), {}, set())


def in_thread(function, *args, **kwargs):
    """The future of a function that runs in a thread of its own, which nobody waits for."""
    future = Future()

    def run():
        try:
            future.set_result(function(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


class Player:
    """A thread that plays a process: `player(f, *args)` runs there."""

    def __init__(self, session):
        self.session = session
        self.uid = session.uid
        self.holds = weakref.WeakValueDictionary()
        self._thread = ThreadPoolExecutor(1)

    def begin(self, function, *args, **kwargs):
        return self._thread.submit(function, *args, **kwargs)

    def __call__(self, function, *args, **kwargs):
        return self.begin(function, *args, **kwargs).result(PATIENCE)

    def close(self):
        self._thread.shutdown(wait=False)


class _Place(sessions._Place):
    """The place of a session, one for each player."""

    def __init__(self, players, own):
        self._players = players
        super().__init__()
        self.session = own

    @property
    def session(self):
        player = self._players.get(threading.get_ident())
        return self._own if player is None else player.session

    @session.setter
    def session(self, session):
        self._own = session


class _Holds:
    """The holds of a process, for each player."""

    def __init__(self, players, own):
        self._players = players
        self._own = own

    def _mine(self):
        player = self._players.get(threading.get_ident())
        return self._own if player is None else player.holds

    def get(self, key):
        return self._mine().get(key)

    def __setitem__(self, key, hold):
        self._mine()[key] = hold


@pytest.fixture
def player(monkeypatch, own_session, joined):
    """Makes players: further processes of the session, in threads of this one."""
    by_thread = {}
    monkeypatch.setattr(sessions, "_place", _Place(by_thread, own_session))
    monkeypatch.setattr(sharing, "_holds", _Holds(by_thread, sharing._holds))
    made = []

    def make():
        one = Player(joined())
        made.append(one)
        by_thread[one(threading.get_ident)] = one
        return one

    yield make
    for one in made:
        one.close()


@pytest.fixture
def interpreter(own_session):
    """Runs a program as a process of the session, in an interpreter of its own that is `given` a pickle."""
    running = []

    def run(code, given=b"", uid=None):
        text = JOINING.format(root=str(ROOT)) + textwrap.dedent(code)
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        ticket = dict(own_session.ticket(), uid=uid or new_id())
        process.stdin.write(
            json.dumps(ticket).encode() + b"\n" + (given or pickle.dumps(None)).hex().encode() + b"\n"
        )
        process.stdin.flush()
        running.append(process)
        return process

    yield run
    for process in running:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        process.kill()
        process.wait()


@pytest.fixture
def until():
    """Looks again and again until what it is given is true; fails when it does not become so."""

    def until(holds):
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, "it did not come true"
            # Lets other threads go on; nothing here tells of what they do.
            time.sleep(0.001)

    return until


@pytest.fixture
def blocked(store_session, until):
    """Runs a function in a thread of its own and returns its future once it is blocked in the store."""

    def count():
        return int(store_session.store.ask("INFO", "clients").split(b"blocked_clients:")[1].split()[0])

    def begin(function, *args, start=in_thread, **kwargs):
        before = count()
        future = start(function, *args, **kwargs)
        until(lambda: future.done() or count() > before)
        assert not future.done(), f"it was not blocked: {future.exception() or future.result()!r}"
        return future

    begin.count = count
    return begin


@pytest.fixture
def waiting(until):
    """Runs a function in a thread of its own and returns its future once the thread sleeps in the kernel."""

    def begin(function, *args, **kwargs):
        numbers = []

        def run():
            numbers.append(threading.get_native_id())
            return function(*args, **kwargs)

        future = in_thread(run)
        until(lambda: future.done() or (numbers and _sleeps(numbers[0])))
        return future

    return begin


@pytest.fixture
def meanwhile(until):
    """Runs a function in a thread of its own once the main thread, which calls this, sleeps in the kernel."""

    def begin(function):
        def run():
            until(lambda: _sleeps(threading.main_thread().native_id))
            return function()

        return in_thread(run)

    return begin


def _sleeps(thread):
    """Whether a thread has nothing to do: asleep, and not for want of the interpreter's lock."""
    seen = []
    for _ in range(3):
        try:
            status = Path(f"/proc/self/task/{thread}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            # It has ended; so will its future.
            return False
        seen.append([line for line in status.splitlines() if line.startswith(("State", "voluntary"))])
        # Gives the interpreter's lock away, so that a thread that only waits for it goes on.
        time.sleep(0.01)
    return "S (" in seen[0][0] and seen[0] == seen[1] == seen[2]


class Launcher:
    """Stands for what makes workers exist; the test plays them."""

    def __init__(self):
        self.limit = None
        self.slots = 4
        self.hint = ""
        self.launched = []
        self.refuses = None

    def launch(self, worker, ticket, on_gone):
        if self.refuses is not None:
            raise self.refuses
        self.launched.append((worker, ticket, on_gone))

    def close(self):
        pass

    def explain(self):
        return ""

    def let_go(self):
        pass


class Client:
    """A session that the test process owns, its starter, and the workers it is given."""

    def __init__(self, session, launcher):
        self.session = session
        self.launcher = launcher

    @property
    def starter(self):
        return starter.current()

    def event(self, **head):
        self.session.store.call(*self.session.push_event(self.session.uid, encode(head)))

    def check_in(self, place=-1):
        """The worker that was launched last, or as that one, takes its place; its name."""
        session, worker = self.session, self.launcher.launched[place][0]
        args = (session.keys.base, worker, self.launcher.slots, "host", 20_000, session.ttl)
        given = session.store.ask(
            *session.script("check_in", ("alive", "workers", "starting", "ready", "keys"), args)
        )
        assert given >= 0
        self.event(kind="ready", worker=worker)
        return worker

    def frames(self, worker):
        """What the worker has been told: heads and bodies."""
        control = self.session.keys("control", worker)
        frames, _ = self.session.store.call(("LRANGE", control, 0, -1), ("DEL", control))
        return [decode(frame) for frame in frames]

    def exited(self, pid, code, worker):
        """That worker reports the end of a process."""
        fleet.report_exit(self.session, pid, code, worker)
        self.session.store.settle()

    def keys(self, pattern):
        return [key.decode() for key in self.session.store.ask("KEYS", self.session.keys.base + pattern)]


@pytest.fixture
def client(store_session, monkeypatch, until):
    """A client with a session of its own; keyword arguments are its settings."""
    before, made = sessions.attached(), []

    def make(**settings):
        uid, launcher = new_id(), Launcher()
        session = OwnedSession(
            id=new_id(),
            secret=b"s" * 32,
            worker_url=store_session.worker_url,
            uid=uid,
            client=uid,
            limit=0,
            lease=20.0,
            machine="client",
            store=Store(lambda: connect(store_session.worker_url), loading()),
            config=Config(**settings),
        )
        session.store.call(("SET", session.keys("alive"), uid, "PX", 60_000))
        monkeypatch.setattr(starter, "_launcher", lambda _session: launcher)
        monkeypatch.setattr(starter._Place, "starter", None)
        sessions.attach(session)
        made.append(session)
        return Client(session, launcher)

    yield make
    for session in made:
        if not session.store._closed:
            session.end()
    sessions.attach(before)


@pytest.fixture
def key(own_session):
    """Of a list."""
    key = own_session.keys.object(new_id(), "q0")
    yield key
    own_session.store.call(("DEL", key))


@pytest.fixture
def push(own_session, key):
    return lambda *elements: own_session.store.call(("RPUSH", key, *elements))


@pytest.fixture
def pool(player, pickled):
    # Not for those who need none: it imports what a pool is made of.
    from tests.unit.primitives.test_tasks import Pool

    pool = Pool(player, pickled)
    # It is shared from its first process on.
    pool.first = pool.process()
    return pool


@pytest.fixture
def patient(monkeypatch):
    """No thread looks whether a task lasts, as each does on a busy machine; answers with what would begin it.

    Of a player, it would stay when the test is over, and then tell in the session of the next one.
    """
    # Not for those who need none, as of a pool.
    from transparent_mp.primitives.taking import Taker

    look = Taker._watch
    monkeypatch.setattr(Taker, "_watch", lambda _taker: None)
    return look
