from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from typing import Any

import pytest

from transparent_mp.worker import siblings

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or siblings.calls() is None, reason="nobody says where a thread's number is kept"
)


def code_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def forked_by_a_child(body: Any) -> int:
    """Exit code of a sibling of a child of ours, which runs `body`."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 99
        try:
            by = siblings.calls()
            assert by is not None
            grandchild = siblings.fork(by)
            if grandchild == 0:
                code = body() or 0
            else:
                os.write(writer, str(grandchild).encode())
                code = 0
        finally:
            os._exit(code)
    os.close(writer)
    assert code_of(child) == 0
    sibling = int(os.read(reader, 32))
    os.close(reader)
    # Its parent has ended by now, if that was who has forked it.
    return code_of(sibling)


def test_its_parent_is_the_parent_of_who_forked_it() -> None:
    us = os.getpid()
    assert forked_by_a_child(lambda: 7 if os.getppid() == us else 1) == 7


def test_the_interpreter_and_the_library_know_which_process_it_is() -> None:
    def body() -> int:
        assert threading.get_native_id() == os.getpid()
        assert threading.current_thread() is threading.main_thread()
        # By the number that the library keeps.
        got: list[int] = []
        signal.signal(signal.SIGUSR1, lambda number, _frame: got.append(number))
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        return 7 if got == [signal.SIGUSR1] else 1

    assert forked_by_a_child(body) == 7


def test_it_has_threads_and_children_as_any_process() -> None:
    def body() -> int:
        seen: list[int] = []
        thread = threading.Thread(target=seen.append, args=(1,))
        thread.start()
        thread.join()
        by = siblings.calls()
        assert by is not None
        child = os.fork()
        if child == 0:
            os._exit(3)
        return 7 if code_of(child) == 3 and seen == [1] else 1

    assert forked_by_a_child(body) == 7


@pytest.fixture
def hooks() -> list[str]:
    called: list[str] = []
    os.register_at_fork(
        before=lambda: called.append("before"),
        after_in_parent=lambda: called.append("in parent"),
        after_in_child=lambda: called.append("in child"),
    )
    return called


def test_hooks_are_called_as_around_any_fork(hooks: list[str]) -> None:
    del hooks[:]
    # The first fork is os.fork's.
    assert forked_by_a_child(lambda: 7 if hooks[-2:] == ["before", "in child"] else 1) == 7


def test_a_fork_that_fails_raises() -> None:
    by = siblings.calls()
    assert by is not None
    import ctypes
    import errno

    def refused() -> int:
        ctypes.set_errno(errno.EAGAIN)
        return -1

    with pytest.raises(BlockingIOError):
        siblings.fork(by._replace(clone=refused))


def test_where_nobody_says_where_the_number_is_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(siblings, "_own_number", lambda: -1)
    assert siblings.calls() is None


def test_on_a_machine_whose_calls_are_not_known_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(siblings.platform, "machine", lambda: "z80")
    assert siblings.calls() is None


def test_its_collector_is_off() -> None:
    assert gc.isenabled()
    assert forked_by_a_child(lambda: 1 if gc.isenabled() else 7) == 7


def test_who_has_given_way_and_was_drawn_near_lets_its_copies_run_as_before() -> None:
    everywhere, policy = os.sched_getaffinity(0), os.sched_getscheduler(0)

    def body() -> int:
        by = siblings.calls()
        assert by is not None
        siblings.give_way(by)
        siblings.draw_near(0)
        near = os.sched_getaffinity(0) < everywhere or len(everywhere) == 1
        gives_way = os.sched_getscheduler(0) == os.SCHED_BATCH or policy != os.SCHED_OTHER
        siblings.roam(by)
        same = (os.sched_getaffinity(0), os.sched_getscheduler(0)) == (everywhere, policy)
        return 7 if near and gives_way and same else 1

    assert forked_by_a_child(body) == 7
