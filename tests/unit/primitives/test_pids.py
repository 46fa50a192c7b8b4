from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from transparent_mp.originals import forget, remember
from transparent_mp.primitives import pids, popen
from transparent_mp.store.keys import FIRST_PID

MINE, PARENT = FIRST_PID + 7, FIRST_PID + 3
#: Id and holder id of the process from which all stem.
CLIENT = 4711, "uid"


@pytest.fixture
def become(monkeypatch):
    """Makes this process one of the session for the length of a test."""
    for name, value in {"pid": None, "parent": 0, "cpus": 0, "ancestor": (0, "")}.items():
        monkeypatch.setattr(pids._Own, name, value)
    return pids.become


@pytest.fixture
def kernel(monkeypatch):
    """What the kernel's own kill is called with."""
    calls = []
    remember("os", "kill", lambda *args: calls.append(args))
    yield calls
    forget("os", "kill")


@pytest.fixture
def settings(monkeypatch):
    monkeypatch.delenv("TRANSPARENT_MP_WORKERS", raising=False)
    return lambda text: monkeypatch.setenv("TRANSPARENT_MP_WORKERS", text)


class TestIds:
    def test_of_a_process_that_is_none_of_the_sessions(self, become):
        assert (pids.getpid(), pids.getppid()) == (os.getpid(), os.getppid())

    def test_of_a_process_of_the_session(self, become):
        become(MINE, PARENT, 4, CLIENT)
        assert (pids.getpid(), pids.getppid()) == (MINE, PARENT)
        assert os.getpid() != MINE

    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    def test_of_a_real_child_of_one(self, become):
        become(MINE, PARENT, 4, CLIENT)
        me = os.getpid()
        pid = os.fork()
        if pid == 0:
            right = pids.getpid() == os.getpid() and pids.getppid() == me and pids.cpu_count() == 4
            os._exit(0 if right else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert pids.getpid() == MINE

    def test_the_sessions_are_above_the_kernels(self):
        with open("/proc/sys/kernel/pid_max") as file:
            assert int(file.read()) <= FIRST_PID


class TestKill:
    def test_of_itself_is_the_kernels_with_the_kernels_number(self, become, kernel):
        become(MINE, PARENT, 4, CLIENT)
        pids.kill(MINE, signal.SIGUSR1)
        assert kernel == [(os.getpid(), signal.SIGUSR1)]

    @pytest.mark.parametrize("pid", [1, 0, -1, -MINE, FIRST_PID - 1])
    def test_of_a_process_of_this_machine_is_the_kernels(self, become, kernel, pid):
        pids.kill(pid, 0)
        assert kernel == [(pid, 0)]

    def test_of_another_of_the_session_goes_through_the_store(self, become, kernel, monkeypatch):
        sent = []
        monkeypatch.setattr(popen, "signal_process", lambda *args: sent.append(args) or True)
        become(MINE, PARENT, 4, CLIENT)
        pids.kill(FIRST_PID, signal.SIGTERM)
        pids.kill(MINE + 1, 0)
        assert sent == [(FIRST_PID, signal.SIGTERM), (MINE + 1, 0)]
        assert kernel == []

    def test_of_the_client_on_a_worker_goes_through_the_store(self, become, kernel, monkeypatch):
        sent = []
        monkeypatch.setattr(popen, "signal_ancestor", lambda *args: sent.append(args))
        pids.kill(CLIENT[0], signal.SIGUSR1)
        become(MINE, CLIENT[0], 4, CLIENT)
        pids.kill(pids.getppid(), signal.SIGUSR2)
        assert kernel == [(CLIENT[0], signal.SIGUSR1)]
        assert sent == [("uid", signal.SIGUSR2)]

    @pytest.mark.parametrize("number", [-1, signal.NSIG])
    def test_of_no_signal(self, become, number):
        become(MINE, CLIENT[0], 4, CLIENT)
        for pid in (CLIENT[0], MINE + 1):
            with pytest.raises(OSError, match="Invalid argument"):
                pids.kill(pid, number)

    def test_of_one_that_is_not_there(self, become, kernel, monkeypatch):
        monkeypatch.setattr(popen, "signal_process", lambda *args: False)
        with pytest.raises(ProcessLookupError, match="No such process"):
            pids.kill(FIRST_PID, signal.SIGTERM)

    def test_of_ones_own_child_with_the_clients_number_is_the_kernels(self, become, kernel):
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
            become(MINE, PARENT, 4, (process.pid, "uid"))
            pids.kill(process.pid, signal.SIGTERM)
            assert kernel == [(process.pid, signal.SIGTERM)]

    def test_is_a_real_signal(self, become):
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
            pids.kill(process.pid, signal.SIGKILL)
            assert process.wait(20) == -signal.SIGKILL


class TestCpus:
    def test_are_the_machines_while_nothing_says_otherwise(self, become, settings):
        assert pids.cpu_count() == pids.process_cpu_count() == os.cpu_count()
        assert pids.sched_getaffinity(0) == os.sched_getaffinity(0)

    def test_are_what_the_settings_say(self, become, settings):
        settings("37")
        assert pids.cpu_count() == pids.process_cpu_count() == 37
        assert pids.sched_getaffinity(0) == set(range(37))

    @pytest.mark.parametrize("text", ["", "many", "-3", "0"])
    def test_settings_without_meaning_are_left_to_the_session(self, become, settings, text):
        settings(text)
        assert pids.cpu_count() == os.cpu_count()

    def test_are_what_the_client_has_told_a_process(self, become, settings):
        settings("37")
        become(MINE, PARENT, 5, CLIENT)
        assert pids.cpu_count() == 5
        assert pids.sched_getaffinity(0) == set(range(5))

    def test_affinity_of_another_process_is_the_kernels(self, become, settings):
        settings("37")
        assert pids.sched_getaffinity(os.getppid()) == os.sched_getaffinity(os.getppid())

    def test_asking_replaces_nothing_by_itself(self, become, settings):
        remember("os", "cpu_count", lambda: 3)
        try:
            assert pids.cpu_count() == 3
        finally:
            forget("os", "cpu_count")


def test_importing_it_costs_a_starting_interpreter_nothing():
    code = (
        "import sys; before = set(sys.modules); import transparent_mp.primitives.pids;"
        "print(*sorted(set(sys.modules) - before))"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(pids.__file__)))
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd="/",
        env={"PYTHONPATH": root},
        check=True,
    )
    theirs = {name for name in done.stdout.split() if not name.startswith("transparent_mp")}
    assert theirs <= {"__future__"}
    assert len(done.stdout.split()) <= 5
