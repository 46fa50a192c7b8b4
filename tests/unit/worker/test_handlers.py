from __future__ import annotations

import gc
import os
import threading
from typing import Callable

import pytest

from transparent_mp.worker import handlers


def in_a_child(body: Callable[[], bool]) -> bool:
    """What `body` answers in a child, whose objects it may freeze."""
    child = os.fork()
    if child == 0:
        code = 2
        try:
            code = 0 if body() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def noted() -> tuple[list[str], Callable[[str], bool]]:
    """What was called around the forks from now on, and which modules those are of that are called."""
    called: list[str] = []

    def before() -> None:
        called.append("before")

    def in_child() -> None:
        called.append("in child")

    in_child.__module__ = "another"
    os.register_at_fork(before=before, after_in_child=in_child)
    return called, lambda module: module == __name__


def called_around_a_fork(called: list[str]) -> list[str]:
    reader, writer = os.pipe()
    del called[:]
    child = os.fork()
    if child == 0:
        os.write(writer, " ".join(called).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with open(reader, encoding="ascii") as file:
        return file.read().split()


def test_what_some_modules_have_registered_is_left_out_until_it_is_put_back() -> None:
    called, some = noted()

    def body() -> bool:
        if called_around_a_fork(called) != ["before", "in", "child"]:
            return False
        left = handlers.leave_out(some)
        if called_around_a_fork(called) != ["in", "child"]:
            return False
        left.back()
        return called_around_a_fork(called) == ["before", "in", "child"]

    assert in_a_child(body)


@pytest.mark.parametrize("frozen", [True, False])
def test_the_lists_are_found_and_left_as_they_were(frozen: bool) -> None:
    def body() -> bool:
        gc.unfreeze()
        if frozen:
            # As in a supervisor.
            gc.collect()
            gc.freeze()
        were = [list(one) for one in handlers._LISTS]
        found = handlers._lists()
        # There is one of each.
        same = {id(one) for one in found} == {id(one) for one in handlers._LISTS} and len(were) == 3
        return same and were == handlers._LISTS and gc.isenabled() and bool(gc.get_freeze_count()) is frozen

    assert in_a_child(body)


def test_the_standard_library_s_are_found_by_their_modules() -> None:
    def body() -> bool:
        found = {handlers._module(each) for one in handlers._LISTS for each in one}
        return {"threading", "logging"} <= found

    assert in_a_child(body)


def test_where_the_lists_are_not_found_all_are_called() -> None:
    called, some = noted()

    def body() -> bool:
        left = handlers.leave_out(some, [])
        found = called_around_a_fork(called) == ["before", "in", "child"]
        left.back()
        return found

    assert in_a_child(body)


def test_a_lock_s_are_of_no_module() -> None:
    assert handlers._module(threading.Lock().acquire) == ""
