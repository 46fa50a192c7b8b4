from __future__ import annotations

import multiprocessing
import os
import pickle
import select
import signal
import sys
from multiprocessing import context

import pytest

from transparent_mp import background
from transparent_mp.errors import LaunchError, StoreError
from transparent_mp.primitives import ahead, popen, sharing
from transparent_mp.primitives import session as sessions
from transparent_mp.ship.frames import parted
from transparent_mp.store.content import unpack
from transparent_mp.store.keys import FIRST_PID

LONG = 20


class Unpicklable:
    """Under `fork`, one object that cannot travel would stay behind: this one means the whole process."""

    def __reduce__(self):
        raise RecursionError("recursion: this one cannot travel")


def target(*args):
    """What processes are to run; the tests run none."""


@pytest.fixture
def client(client):
    """A client whose first worker has checked in and idles."""

    def make(**settings):
        one = client(**settings)
        fleet = one.starter.fleet
        fleet.want(workers=0, starting=0, waiting=1)
        one.worker = one.check_in()
        return one

    return make


@pytest.fixture(params=["fork", "spawn", "forkserver"])
def method(request):
    return request.param


def process(method, *args):
    made = multiprocessing.get_context(method).Process(target=target, args=args, name="the process")
    made._config["authkey"] = multiprocessing.process.AuthenticationString(b"key")
    return made


def start(method, *args):
    return popen.METHODS[method](process(method, *args))


def over(started):
    return bool(select.select([started.sentinel], [], [], LONG)[0])


class TestLaunch:
    def test_the_worker_is_given_what_a_child_needs(self, client, method, monkeypatch, tmp_path):
        one = client()
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("A_VARIABLE", "its value")
        monkeypatch.setenv("TRANSPARENT_MP_WORKERS", "23")
        started = start(method, 1, "two")
        ((head, message),) = one.frames(one.worker)
        assert started.pid == head["pid"] >= FIRST_PID
        assert (head["uid"], head["name"], head["parent"]) == (started.uid, "the process", one.session.uid)
        body = unpack(one.session, "process:" + started.uid, ahead.split(message)[1])
        common, _process = parted(body)
        around, how, _prepared = pickle.loads(common)
        assert how == method
        assert around["environ"]["A_VARIABLE"] == "its value"
        assert (around["cwd"], around["parent"], around["cpus"]) == (str(tmp_path), os.getpid(), 23)
        assert (around["argv"], around["path"]) == (sys.argv, sys.path)
        assert [stream["encoding"] for stream in around["streams"]] == ["utf-8", "utf-8"]

    def test_what_processes_are_like_is_said_under_fork(self, client, method, monkeypatch):
        one = client()

        def like() -> str:
            started = start(method, 1)
            ((_, message),) = one.frames(one.worker)
            one.exited(started.pid, 0, one.worker)
            return ahead.read(one.session, started.uid, ahead.split(message)[0]).like

        first = like()
        assert bool(first) is (method == "fork")
        assert like() == first
        # Whatever they find around them makes them others.
        monkeypatch.setenv("A_VARIABLE", "its value")
        second = like()
        assert (second != first) is (method == "fork")
        monkeypatch.setenv("A_VARIABLE", "another value")
        assert (like() != second) is (method == "fork")

    def test_in_a_directory_that_was_removed(self, client, monkeypatch, tmp_path):
        client()
        gone = tmp_path / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()
        assert popen._surroundings("fork")["cwd"] == ""

    def test_with_streams_that_were_closed(self, client, monkeypatch):
        client()

        class Closed:
            def isatty(self):
                raise ValueError("I/O operation on closed file")

        monkeypatch.setattr(sys, "__stdout__", None)
        monkeypatch.setattr(sys, "__stderr__", Closed())
        assert popen._surroundings("fork")["streams"] == [{"line_buffering": False}] * 2

    def test_is_a_spawning_one_while_it_pickles(self, client, method):
        seen = []

        class Looks:
            def __reduce__(self):
                seen.append(context.get_spawning_popen())
                return int, ()

        client()
        started = start(method, Looks())
        assert set(seen) == {started}
        assert context.get_spawning_popen() is None

    def test_what_cannot_be_pickled_leaves_nothing_behind(self, ours, client, method):
        one = client()
        before = set(one.keys("*"))
        queue = multiprocessing.get_context(method).Queue()
        lock = multiprocessing.get_context(method).Lock()
        with pytest.raises((RecursionError, pickle.PicklingError), match=r"recursion|this one cannot travel"):
            start(method, queue, lock, Unpicklable())
        assert context.get_spawning_popen() is None
        mine = one.session.keys("holds", one.session.uid)
        one.session.store.settle()
        assert set(one.keys("*")) - before <= {mine, one.session.keys("objects"), one.session.keys("keys")}
        assert set(one.keys("holds:*")) == {mine}
        oids = [queue._reader._shared.hold.oid, lock._semlock._hold.oid]
        del queue, lock
        one.session.store.settle()
        for oid in oids:
            assert one.session.store.ask("KEYS", one.session.keys.object_base(oid) + "*") == []

    def test_a_launch_that_is_refused_leaves_nothing_behind(self, ours, client, method):
        one = client()
        one.starter.fleet._states.clear()
        one.session.store.call(("DEL", one.session.keys("workers")))
        one.launcher.refuses = LaunchError(13, "refused: do this")
        lock = multiprocessing.get_context(method).Lock()
        with pytest.raises(LaunchError, match="refused"):
            start(method, lock)
        one.session.store.settle()
        assert one.keys("process:*") + one.keys("ready") == []
        assert one.keys("holds:*") == [one.session.keys("holds", one.session.uid)]

    def test_a_child_holds_what_it_is_given_and_its_end_lets_go(self, ours, client, method):
        one = client()
        reader, writer = multiprocessing.get_context(method).Pipe(False)
        started = start(method, writer)
        writer.close()
        assert reader.poll(0) is False
        one.exited(started.pid, 0, one.worker)
        with pytest.raises(EOFError):
            reader.recv()

    def test_descriptors_do_not_travel(self, client, method):
        client()
        started = start(method)
        with pytest.raises(OSError, match="file descriptor 1 cannot travel to another machine: pass a path"):
            started.duplicate_for_child(1)


class TestEnd:
    def test_is_seen_by_poll_wait_and_sentinel(self, client, method):
        one = client()
        started = start(method)
        assert started.poll() is None
        assert started.wait(0) is None
        assert started.wait(0.01) is None
        assert select.select([started.sentinel], [], [], 0)[0] == []
        one.exited(started.pid, 4, one.worker)
        assert over(started)
        assert started.wait(LONG) == started.poll() == started.wait() == started.returncode == 4

    def test_who_waits_is_woken(self, client, method, waiting):
        one = client()
        started = start(method)
        found = waiting(started.wait)
        one.exited(started.pid, -11, one.worker)
        assert found.result(LONG) == -11

    def test_closing_frees_the_sentinel(self, client, method):
        one = client()
        started = start(method)
        one.exited(started.pid, 0, one.worker)
        assert started.wait(LONG) == 0
        started.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(started.sentinel)

    def test_seeing_it_is_an_acquire(self, client, method, monkeypatch):
        one = client()
        started, seen = start(method), []
        monkeypatch.setattr(popen.memory, "synchronise", lambda: seen.append(started._child.code))
        started.poll()
        assert seen == []
        one.exited(started.pid, 0, one.worker)
        started.wait(LONG)
        started.wait(LONG)
        assert seen == [0]


class TestSignals:
    @pytest.mark.parametrize(("name", "number"), [("terminate", signal.SIGTERM), ("kill", signal.SIGKILL)])
    def test_go_to_the_worker(self, client, method, name, number):
        one = client()
        started = start(method)
        one.frames(one.worker)
        getattr(started, name)()
        ((head, _body),) = one.frames(one.worker)
        assert head == {"kind": "signal", "pid": started.pid, "signal": number}

    def test_of_an_ended_process_do_nothing(self, client, method):
        one = client()
        started = start(method)
        one.exited(started.pid, 0, one.worker)
        assert over(started)
        one.frames(one.worker)
        started.terminate()
        started.kill()
        assert one.frames(one.worker) == []

    def test_where_the_store_is_gone_it_ends_by_itself(self, client, method, monkeypatch):
        one = client()
        started = start(method)

        def ended(_pid, _number):
            one.exited(started.pid, -9, one.worker)
            raise StoreError("it was lost")

        monkeypatch.setattr(one.starter, "signal", ended)
        started.terminate()
        assert over(started)

    def test_who_cannot_signal_what_goes_on_is_told(self, client, method, monkeypatch):
        one = client()
        started = start(method)

        def lost(_pid, _number):
            raise StoreError("it was lost")

        monkeypatch.setattr(one.starter, "signal", lost)
        monkeypatch.setattr(popen, "_ENDING", 0.0)
        with pytest.raises(ConnectionError, match="it was lost"):
            started.terminate()

    def test_by_id(self, client):
        one = client()
        started = start("fork")
        one.frames(one.worker)
        assert popen.signal_process(started.pid, signal.SIGUSR1) is True
        assert [head["signal"] for head, _body in one.frames(one.worker)] == [signal.SIGUSR1]
        assert popen.signal_process(started.pid + 1, signal.SIGUSR1) is False

    def test_by_id_without_a_session(self, monkeypatch):
        before = sessions.attached()
        sessions.attach(None)
        try:
            assert popen.signal_process(FIRST_PID, signal.SIGTERM) is False
        finally:
            sessions.attach(before)


class TestBeside:
    def test_a_server_joins_under_a_name_of_its_own_and_its_holds_end_with_it(self, client, until, tmp_path):
        witness = tmp_path / "witness"
        one = client(witness=str(witness))
        one_end, other_end = sharing.create(one.session, 2)
        sentinel, alive = os.pipe()
        given = {}

        class Local:
            def __init__(self, obj):
                self.obj, self.sentinel = obj, sentinel
                given["target"] = obj._target
                given["uid"] = sessions._place.child_uid
                given["prepared"] = multiprocessing.spawn.get_preparation_data("server")

        server = multiprocessing.Process(name="server", target=len)
        started = popen.start_beside(Local, server)
        assert started.obj is server
        # In the child it ends with its parent, and knows nothing of that here.
        assert given["target"].args == ("multiprocessing.process", len)
        assert server._target is len
        assert witness.read_text().split()[:3] == [one.session.id, "server", "beside"]
        assert given["uid"] not in ("", one.session.uid)
        assert sessions._place.child_uid == ""
        sharing.hand_over(one.session, one_end, given["uid"])
        del one_end
        inbox = one.session.keys.object(other_end.oid, "q1")
        assert one.session.store.ask("LLEN", inbox) == 0
        os.close(alive)
        until(lambda: one.session.store.ask("LRANGE", inbox, 0, -1) == [b""])
        assert one.keys("holds:" + given["uid"]) == []
        os.close(sentinel)

    def test_a_server_that_outlives_the_session_is_forgotten(self, client, until):
        one = client()
        sentinel, alive = os.pipe()

        class Local:
            def __init__(self, _obj):
                self.sentinel = sentinel

        popen.start_beside(Local, multiprocessing.Process(name="server"))
        ours = background._Ours.running
        one.session.end()
        os.close(alive)
        until(lambda: background._Ours.running < ours)
        os.close(sentinel)
