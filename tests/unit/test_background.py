from __future__ import annotations

import _thread
import os
import subprocess
import sys
import threading
import time

import pytest

from transparent_mp import background
from transparent_mp.originals import forget, remember

LONG = 20


@pytest.fixture
def until():
    """Looks again and again until what it is given is true; fails when it does not become so."""

    def until(holds):
        deadline = time.monotonic() + LONG
        while not holds():
            assert time.monotonic() < deadline, "it did not come true"
            # Lets the other threads go on.
            time.sleep(0.001)

    return until


@pytest.fixture
def counted(monkeypatch):
    """No threads of ours, whatever other tests have left running."""
    monkeypatch.setattr(background._Ours, "running", 0)


def held():
    """A body that runs until its lock is released, and that lock."""
    lock = threading.Lock()
    lock.acquire()
    return lambda: lock.acquire() and lock.release(), lock


def run(body, *args):
    done = threading.Event()

    def whole():
        try:
            body(*args)
        finally:
            done.set()

    background.start(whole)
    return done


def test_a_body_runs_with_its_arguments(until):
    seen = []
    background.start(lambda *args: seen.append((args, threading.get_ident())), 1, "two")
    until(lambda: seen)
    assert seen[0][0] == (1, "two")
    assert seen[0][1] != threading.get_ident()


def test_the_program_does_not_see_it(counted, until):
    theirs, count = threading.enumerate(), background.count()
    body, lock = held()
    everything = _thread._count()
    done = run(body)
    until(lambda: _thread._count() == everything + 1)
    assert threading.enumerate() == theirs
    assert threading.active_count() == len(theirs)
    assert background.count() == count
    lock.release()
    assert done.wait(LONG)
    until(lambda: background._Ours.running == 0)
    until(lambda: background.count() == count)


def test_one_that_asks_who_it_is_is_not_seen_either(counted, until):
    theirs, idents = background.listed(), []
    body, lock = held()
    done = run(lambda: (idents.append(threading.current_thread().ident), body()))
    until(lambda: idents)
    assert idents[0] in [thread.ident for thread in threading.enumerate()]
    assert background.listed() == theirs
    assert background.active() == len(theirs)
    lock.release()
    assert done.wait(LONG)
    until(lambda: idents[0] not in background._Ours.idents)
    assert idents[0] not in [thread.ident for thread in threading.enumerate()]


def test_the_programs_own_threads_are_counted(counted):
    count = background.count()
    body, lock = held()
    thread = threading.Thread(target=body)
    thread.start()
    assert background.count() == count + 1
    lock.release()
    thread.join()


def test_counting_asks_the_original(counted):
    remember("_thread", "_count", lambda: 41)
    try:
        assert background.count() == 41
    finally:
        forget("_thread", "_count")


def test_what_a_body_raises_is_reported_and_the_thread_gone(counted, monkeypatch, until):
    import sys

    reported = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)

    def body():
        raise ZeroDivisionError

    background.start(body)
    until(lambda: reported)
    assert reported[0].exc_type is ZeroDivisionError
    until(lambda: background._Ours.running == 0)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_none(counted):
    body, lock = held()
    done = run(body)
    with background._Ours.lock:
        # Another thread may hold it at the fork; the child must not wait for that one.
        pid = os.fork()
        if pid == 0:
            background.forget()
            background.start(lambda: os._exit(0 if background._Ours.running == 1 else 1))
            threading.Event().wait(LONG)
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0
    lock.release()
    assert done.wait(LONG)


def test_nothing_waits_for_one_at_exit(tmp_path):
    import subprocess
    import sys

    root = os.path.dirname(os.path.dirname(background.__file__))
    code = "import threading; from transparent_mp import background; background.start(threading.Event().wait)"
    assert (
        subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": root}, timeout=LONG).returncode == 0
    )


@pytest.mark.skipif(sys.version_info < (3, 12), reason="nothing warns")
def test_a_fork_warns_of_the_program_s_threads_and_not_of_ours():
    code = """
import os, sys, threading, warnings
from transparent_mp import background

def fork(expected):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        child = background.fork()
        if not child:
            os._exit(0)
    os.waitpid(child, 0)
    assert [(one.category, one.filename) for one in told] == expected, told

end = threading.Event()
background.start(end.wait)
while not background._Ours.idents:
    pass
fork([])
other = threading.Thread(target=end.wait)
other.start()
fork([(DeprecationWarning, "<string>")])
warnings.simplefilter("error")
child = background.fork()
child or os._exit(0)
print(os.waitpid(child, 0)[1])
end.set()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("0\n", "")
