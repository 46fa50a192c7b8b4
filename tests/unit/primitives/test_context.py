from __future__ import annotations

import sys
from multiprocessing import managers, process

import pytest

from transparent_mp.originals import forget, remember
from transparent_mp.primitives import context, popen

CHOICES = {
    "fork": ("ForkProcess", context.fork_popen),
    "spawn": ("SpawnProcess", context.spawn_popen),
    "forkserver": ("ForkServerProcess", context.forkserver_popen),
}


@pytest.fixture(params=CHOICES)
def method(request):
    return request.param


@pytest.fixture
def popen_of(method, monkeypatch):
    """Starts a process object as the context of that method would; what was asked for."""
    name, choice = CHOICES[method]
    asked = []
    monkeypatch.setattr(popen, "METHODS", {method: lambda obj: asked.append(("remote", obj))})
    monkeypatch.setattr(popen, "start_beside", lambda local, obj: asked.append((local, obj)))
    stock = staticmethod(lambda obj: None)
    remember("multiprocessing.context", name + "._Popen", stock)

    class Process(process.BaseProcess):
        _Popen = choice

        def __init__(self, target=None):
            self._target = target

    def start(target):
        started = Process(target)
        started._Popen(started)
        ((how, obj),) = asked
        assert obj is started
        return "local" if how is stock.__func__ else how

    yield start
    forget("multiprocessing.context", name + "._Popen")


def test_a_process_is_started_on_a_worker(popen_of):
    assert popen_of(print) == "remote"


def test_a_process_without_a_target_too(popen_of):
    assert popen_of(None) == "remote"


@pytest.mark.parametrize("cls", [managers.BaseManager, managers.SyncManager])
def test_a_managers_server_is_started_beside(popen_of, cls):
    assert popen_of(cls._run_server) == "local"


def test_a_function_of_that_name_is_no_server(popen_of):
    class Program:
        @classmethod
        def _run_server(cls):
            pass

    assert popen_of(Program._run_server) == "remote"


def test_a_program_without_managers_starts_processes(popen_of, monkeypatch):
    monkeypatch.delitem(sys.modules, "multiprocessing.managers")
    assert popen_of(managers.BaseManager._run_server) == "remote"


def test_every_method_has_its_popen(method):
    assert popen.METHODS[method].method == method
