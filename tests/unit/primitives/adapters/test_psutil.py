from __future__ import annotations

import os
from typing import Any

import pytest

from transparent_mp.primitives import pids
from transparent_mp.primitives.adapters import psutil as adapter

psutil = pytest.importorskip("psutil")


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil.Process, "_init", adapter.process_init(psutil.Process._init))
    monkeypatch.setattr(psutil.Process, "cpu_affinity", adapter.cpu_affinity(psutil.Process.cpu_affinity))
    monkeypatch.setattr(psutil, "cpu_count", adapter.cpu_count(psutil.cpu_count))


@pytest.fixture
def on_worker(monkeypatch: pytest.MonkeyPatch) -> int:
    pid = 2**22 + 12345
    monkeypatch.setattr(pids._Own, "pid", pid)
    monkeypatch.setattr(pids._Own, "cpus", 7)
    return pid


@pytest.mark.parametrize("by_number", [False, True])
def test_process_on_a_worker_sees_itself(patched: None, on_worker: int, by_number: bool) -> None:
    del patched
    process = psutil.Process(on_worker) if by_number else psutil.Process()
    assert process.pid == on_worker
    assert process.memory_info().rss > 0
    assert process.is_running()
    assert process == psutil.Process(on_worker)


def test_another_process_of_the_session_is_not_here(patched: None, on_worker: int) -> None:
    del patched
    with pytest.raises(psutil.NoSuchProcess):
        psutil.Process(on_worker + 1)


def test_client_is_itself(patched: None) -> None:
    del patched
    assert psutil.Process().pid == psutil.Process(os.getpid()).pid == os.getpid()
    assert psutil.Process(os.getppid()).pid == os.getppid()


def test_cpu_counts_answer_the_parallelism(patched: None, on_worker: int) -> None:
    del patched, on_worker
    assert psutil.cpu_count() == psutil.cpu_count(logical=False) == 7
    assert len(psutil.Process().cpu_affinity()) == 7


def test_without_a_parallelism_the_machine_is_asked(patched: None, monkeypatch: pytest.MonkeyPatch) -> None:
    del patched
    monkeypatch.delenv("TRANSPARENT_MP_WORKERS", raising=False)
    affinity: Any = os.sched_getaffinity(0)
    assert set(psutil.Process().cpu_affinity()) == affinity
