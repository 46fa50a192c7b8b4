from __future__ import annotations

import os
import select
import signal

import pytest

from transparent_mp.config import Config
from transparent_mp.errors import LaunchError, SessionLostError
from transparent_mp.launch.fleet import VANISHED
from transparent_mp.primitives import burst, sharing, starter
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.starter import Child, Starter
from transparent_mp.ship.frames import encode
from transparent_mp.store.keys import FIRST_PID
from transparent_mp.store.session import join, new_id
from transparent_mp.store.store import Store

LONG = 20


@pytest.fixture
def child():
    """A child that was not started yet."""
    made = []

    def make(name="name"):
        made.append(Child(name))
        return made[-1]

    yield make
    for one in made:
        os.close(one.sentinel)
        if one.code is None:
            os.close(one._writer)


def ended(child):
    return bool(select.select([child.sentinel], [], [], LONG)[0])


@pytest.fixture
def running(client, child, waiting, until):
    """A client with one process on one worker: the client, the child, the worker."""
    one, made = client(), child("first")
    begun = waiting(one.starter.start, made, "uid", (), b"body")
    until(lambda: one.launcher.launched)
    worker = one.check_in()
    begun.result(LONG)
    return one, made, worker


class TestChild:
    def test_its_sentinel_is_readable_once_it_has_ended(self, child):
        one = child()
        assert select.select([one.sentinel], [], [], 0)[0] == []
        assert (one.code, one.ended.is_set()) == (None, False)
        one.end(3)
        assert ended(one)
        assert (one.code, one.ended.is_set()) == (3, True)

    def test_ends_once(self, child):
        one = child()
        one.end(0)
        # Takes the number that was freed, which a second end must not close.
        reader, writer = os.pipe()
        one.end(VANISHED)
        assert one.code == 0
        os.close(reader)
        os.close(writer)


class TestStart:
    def test_the_worker_is_given_the_process(self, running):
        client, child, worker = running
        ((head, body),) = client.frames(worker)
        assert child.pid == head["pid"] >= FIRST_PID
        assert (head["kind"], head["uid"], head["parent"], head["name"]) == (
            "run",
            "uid",
            client.session.uid,
            "first",
        )
        assert body == b"body"

    def test_later_ones_do_not_wait_for_a_worker(self, running, child):
        client, first, _worker = running
        second = child("second")
        client.starter.start(second, "uid2", (), b"")
        assert second.pid == first.pid + 1
        assert len(client.launcher.launched) == 2

    def test_one_that_an_idle_worker_takes_launches_none(self, running, child):
        client, first, worker = running
        client.exited(first.pid, 0, worker)
        assert ended(first)
        client.frames(worker)
        second = child("second")
        client.starter.start(second, "uid2", (), b"")
        assert [head["name"] for head, _body in client.frames(worker)] == ["second"]
        assert len(client.launcher.launched) == 1

    def test_costs_one_round_trip_on_an_idle_worker(self, running, child):
        client, first, worker = running
        client.exited(first.pid, 0, worker)
        assert ended(first)
        client.session.store.settle()
        before = client.session.store.waits
        client.starter.start(child(), "uid2", (("SET", client.session.keys("blob", "x"), "y"),), b"")
        # The inbox's own wait may be counted meanwhile.
        assert client.session.store.waits - before <= 2
        assert client.session.store.ask("GET", client.session.keys("blob", "x")) == b"y"
        client.session.store.call(("DEL", client.session.keys("blob", "x")))

    def test_a_launch_that_is_refused_withdraws_the_process(self, client, child):
        one, made = client(), child()
        one.launcher.refuses = LaunchError(13, "refused: do this")
        (hold,) = sharing.create(one.session)
        sharing.hand_over(one.session, hold, "uid")
        with pytest.raises(LaunchError, match="refused: do this"):
            one.starter.start(made, "uid", (), b"body")
        assert ended(made)
        assert made.code == VANISHED
        one.session.store.settle()
        assert one.keys("process:*") + one.keys("children:*") + one.keys("ready") + one.keys("starting") == []
        assert one.keys("holds:uid") == []
        holders = one.session.store.ask("SMEMBERS", one.session.keys.object(hold.oid, "h0"))
        assert holders == [one.session.uid.encode()]

    def test_a_worker_that_ends_instead_of_coming_withdraws_the_process(self, client, child, waiting, until):
        one, made = client(), child()
        begun = waiting(one.starter.start, made, "uid", (), b"body")
        until(lambda: one.launcher.launched)
        worker, _ticket, on_gone = one.launcher.launched[0]
        on_gone(worker, "it said: no")
        with pytest.raises(LaunchError, match="it said: no"):
            begun.result(LONG)
        assert ended(made)
        until(lambda: one.keys("process:*") == [])

    def test_a_process_on_a_worker_asks_the_client_for_another(self, client, child, until, monkeypatch):
        one = client()
        assert one.starter.fleet is not None
        session = join(one.session.ticket(), new_id(), Config())
        there = Starter(session)
        assert there.fleet is None
        made = child()
        there.start(made, "uid", (), b"body")
        until(lambda: one.launcher.launched)
        worker = one.check_in()
        assert [head["parent"] for head, _body in one.frames(worker)] == [session.uid]
        one.exited(made.pid, 5, worker)
        assert ended(made)
        assert made.code == 5
        there.close()
        session.store.close()

    def test_the_first_of_several_asks_for_workers_for_all(self, client, child, waiting, until):
        one = client()

        def first():
            with burst.burst(3):
                one.starter.start(child(), "uid", (), b"body")

        begun = waiting(first)
        until(lambda: len(one.launcher.launched) == 3)
        for place in range(3):
            one.check_in(place)
        begun.result(LONG)
        for number in range(2):
            one.starter.start(child(), f"uid{number}", (), b"")
        assert len(one.launcher.launched) == 3
        assert sorted(len(one.frames(worker)) for worker, *_ in one.launcher.launched) == [1, 1, 1]

    def test_a_process_on_a_worker_asks_for_all_as_well(self, client, child, until):
        one = client()
        assert one.starter.fleet is not None
        there = Starter(join(one.session.ticket(), new_id(), Config()))
        with burst.burst(3):
            there.start(child(), "uid", (), b"body")
        until(lambda: len(one.launcher.launched) == 3)
        there.close()
        there.session.store.close()

    def test_a_client_that_cannot_launch_for_a_worker_says_so(self, client, caplog, until):
        one = client()
        one.launcher.refuses = LaunchError(13, "refused: do this")
        assert one.starter
        one.event(kind="want", workers=0, starting=0, waiting=1)
        until(lambda: "refused: do this" in caplog.text)


class TestExit:
    @pytest.mark.parametrize("code", [0, 3, -9])
    def test_is_seen_with_its_code(self, running, code):
        client, child, worker = running
        client.exited(child.pid, code, worker)
        assert ended(child)
        assert child.code == code

    def test_that_overtakes_the_answer_of_submit_is_kept(self, running, child, until):
        client, first, _worker = running
        second = child("second")
        client.event(kind="exit", pid=first.pid + 1, code=7)
        until(lambda: client.starter._early)
        client.starter.start(second, "uid2", (), b"")
        assert (second.pid, second.code) == (first.pid + 1, 7)
        assert ended(second)
        assert client.starter._early == {}

    def test_of_everything_when_the_store_is_lost(self, running, child, caplog):
        client, first, _worker = running
        client.starter._on_lost({"reason": "it went away"}, b"")
        assert ended(first)
        assert first.code == VANISHED
        assert "it went away" in caplog.text
        second = child("second")
        client.starter._know(second, first.pid + 1)
        assert ended(second)
        assert second.code == VANISHED


class TestSignal:
    def test_of_an_id_that_nobody_has(self, client):
        assert client().starter.signal(FIRST_PID + 99, signal.SIGTERM) is False

    def test_of_a_running_process_goes_to_its_worker(self, running):
        client, child, worker = running
        client.frames(worker)
        assert client.starter.signal(child.pid, signal.SIGUSR1) is True
        assert [head for head, _body in client.frames(worker)] == [
            {"kind": "signal", "pid": child.pid, "signal": signal.SIGUSR1}
        ]

    def test_0_asks_only_whether_it_is_there(self, running):
        client, child, worker = running
        client.frames(worker)
        assert client.starter.signal(child.pid, 0) is True
        assert client.frames(worker) == []

    def test_from_a_worker_reaches_its_ancestor(self, client, until):
        one, got = client(), []
        before = signal.signal(signal.SIGUSR2, lambda number, _frame: got.append(number))
        try:
            frame = encode({"kind": "signal", "signal": int(signal.SIGUSR2)})
            session = one.starter.session
            session.store.cast(*session.push_event(session.uid, frame))
            until(lambda: got == [signal.SIGUSR2])
        finally:
            signal.signal(signal.SIGUSR2, before)

    def test_may_be_a_number_that_shows_otherwise(self, running):
        # As the members of `signal.Signals` do before Python 3.11.
        class Named(int):
            def __str__(self):
                return "its name"

        client, child, worker = running
        client.frames(worker)
        assert client.starter.signal(child.pid, Named(10)) is True
        assert [head["signal"] for head, _body in client.frames(worker)] == [10]

    def test_that_ends_a_waiting_process_withdraws_it(self, running, child):
        client, _first, _worker = running
        waits = child("waits")
        client.starter.start(waits, "uid2", (), b"")
        assert client.session.store.ask("LLEN", client.session.keys("ready")) == 1
        assert client.starter.signal(waits.pid, signal.SIGTERM) is True
        assert ended(waits)
        assert waits.code == -signal.SIGTERM
        assert client.session.store.ask("LLEN", client.session.keys("ready")) == 0
        assert client.starter.signal(waits.pid, signal.SIGTERM) is False

    def test_that_would_not_end_a_waiting_process_leaves_it(self, running, child):
        client, _first, _worker = running
        waits = child("waits")
        client.starter.start(waits, "uid2", (), b"")
        for harmless in (0, signal.SIGCHLD, signal.SIGWINCH):
            assert client.starter.signal(waits.pid, harmless) is True
        assert client.session.store.ask("LLEN", client.session.keys("ready")) == 1
        assert waits.code is None

    def test_of_an_ended_process(self, running):
        client, child, worker = running
        client.exited(child.pid, 0, worker)
        assert client.starter.signal(child.pid, signal.SIGKILL) is False


class TestWitness:
    def test_has_a_line_for_each_process(self, client, tmp_path, until):
        path = tmp_path / "witness"
        one = client(witness=str(path))
        assert one.starter
        one.event(kind="started", name="Process-1", worker="w1", host="h1")
        one.event(kind="started", name="Process-2", worker="w2", host="h2")
        until(lambda: path.exists() and path.read_text().count("\n") == 2)
        assert path.read_text() == "".join(
            f"{one.session.id}\tProcess-{number}\tw{number}\th{number}\n" for number in (1, 2)
        )


class TestPlace:
    def test_a_process_has_one_for_its_session(self, client):
        one = client()
        first = one.starter
        assert starter.current() is first
        second = client()
        assert second.starter is not first
        first.close()

    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    def test_a_forked_child_has_none_yet(self, client):
        assert client().starter
        with starter._Place.lock:
            pid = os.fork()
            if pid == 0:
                free = starter._Place.lock.acquire(timeout=5)
                os._exit(0 if free and starter._Place.starter is None else 1)
        assert os.waitpid(pid, 0)[1] == 0

    def test_the_end_of_the_session_is_its_end(self, running):
        client, _child, worker = running
        inbox = client.starter.inbox
        client.session.end()
        assert inbox._ended.is_set()
        with pytest.raises(OSError, match="has left its session"):
            client.session.store.ask("PING")
        keys = client.session.keys
        other = Store(client.session.store._connect)
        assert [key.decode() for key in other.ask("KEYS", keys.base + "*")] == [keys("control", worker)]
        other.close()
        with pytest.raises(SessionLostError, match="the session is over"):
            join(client.session.ticket(), new_id(), Config()).store.ask("PING")

    def test_the_lambda_backend_is_there(self, monkeypatch, store_session):
        config = Config(backend="lambda", function="f", redis_url="redis://store")
        monkeypatch.setattr(store_session, "config", config)
        launcher = starter._launcher(store_session)
        assert launcher.limit == config.parallelism() == 100
        launcher.close()

    def test_the_local_backend_is_there(self, store_session):
        launcher = starter._launcher(store_session)
        assert launcher.limit == store_session.config.parallelism()
        launcher.close()

    def test_a_client_takes_its_limit_from_the_launcher(self, client):
        one = client()
        one.launcher.limit = 6
        assert one.starter
        assert (sessions.current().limit, one.session.ticket()["limit"]) == (6, 6)
