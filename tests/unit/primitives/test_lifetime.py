"""A process that serves tasks, near its worker's end. That it goes on elsewhere: tests/on_lambda."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import textwrap
import time
from typing import Any

import pytest

from transparent_mp.primitives import lifetime
from transparent_mp.primitives.lifetime import Lifetime, PassOn, Tasks, passing_on


class Queue:
    """A queue of tasks that keeps the time-outs it was asked with."""

    _sem = _reader = None

    def __init__(self, *tasks: Any) -> None:
        self.tasks = list(tasks)
        self.timeouts: list[float] = []

    def get(self, block: bool, timeout: float) -> Any:
        assert block
        self.timeouts.append(timeout)
        if not self.tasks:
            raise queue.Empty
        return self.tasks.pop(0)


def ending_in(seconds: float, whole: float = 100.0) -> Lifetime:
    return Lifetime(time.monotonic() + seconds, whole)


def test_a_task_is_waited_for_as_long_as_there_is_time_for_one() -> None:
    tasks = Queue("task")
    assert Tasks(tasks, ending_in(50.0)).get() == "task"
    # A tenth of the whole is left for it.
    assert 39.0 < tasks.timeouts[0] <= 40.0


def test_without_a_task_in_time_the_process_passes_on() -> None:
    with pytest.raises(PassOn):
        Tasks(Queue(), ending_in(50.0)).get()


def test_no_task_is_taken_that_may_not_be_done() -> None:
    tasks = Queue("task")
    with pytest.raises(PassOn):
        Tasks(tasks, ending_in(9.0)).get()
    assert tasks.tasks == ["task"]


def test_what_tasks_have_taken_says_what_the_next_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(lifetime.time, "monotonic", lambda: now)
    life = Lifetime(ends=now + 100.0, whole=100.0)
    tasks = Tasks(Queue("one", "two"), life)
    assert tasks.get() == "one"
    now += 30.0
    assert tasks.get() == "two"
    now += 15.0
    # 55 s are left, and 60 may be needed.
    with pytest.raises(PassOn):
        tasks.get()


def test_a_caller_s_own_time_out_stays_its_own() -> None:
    tasks = Queue()
    with pytest.raises(queue.Empty):
        Tasks(tasks, ending_in(50.0)).get(True, 5.0)
    assert tasks.timeouts == [5.0]


def test_the_loop_of_a_pool_is_left_and_the_process_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    life = ending_in(9.0)
    monkeypatch.setattr(lifetime._Own, "lifetime", life)

    def loop(tasks: Any, results: list[Any]) -> None:
        while True:
            results.append(tasks.get())

    results: list[Any] = []
    assert passing_on(loop)(Queue("task"), results) is None
    assert (life.passes_on, results) == (True, [])


def test_without_a_limit_the_loop_is_the_stock_one() -> None:
    seen = []
    tasks = Queue()
    passing_on(lambda queue, more: seen.append((queue, more)))(tasks, "more")
    assert seen == [(tasks, "more")]


ENDS = """
    import os, signal, time
    from transparent_mp.primitives import lifetime
    life = lifetime.begin(time.monotonic() + 60, 900.0)
    {before}
    try:
        os.kill(os.getpid(), lifetime.NEAR)
        print("goes on")
    except TimeoutError as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("before", "status", "out", "err"),
    [
        ("", lifetime.OUTLIVED, "", "transparent_mp: a process would outlive its worker"),
        ("life.task_begins()", 0, "a task would outlive its worker, which may run for 900 s", ""),
        ("life.passes_on = True", 0, "goes on", ""),
    ],
    ids=["process", "task", "passing on"],
)
def test_at_the_limit(before: str, status: int, out: str, err: str) -> None:
    code = textwrap.dedent(ENDS).format(before=before)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.returncode == status
    assert ran.stdout.startswith(out)
    assert ran.stderr.startswith(err)


def test_the_signal_ends_who_does_not_hear_it() -> None:
    assert signal.Signals.SIGXCPU == lifetime.NEAR
