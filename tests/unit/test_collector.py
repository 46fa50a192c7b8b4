from __future__ import annotations

import gc
import os

import pytest

from transparent_mp import collector


@pytest.fixture(autouse=True)
def _as_before():
    before = gc.isenabled()
    gc.enable()
    yield
    (gc.enable if before else gc.disable)()


def test_it_is_off_until_all_have_let_go():
    one, other = object(), object()
    collector.hold_off(one)
    collector.hold_off(other)
    assert not gc.isenabled()
    collector.go_on(one)
    assert not gc.isenabled()
    collector.go_on(other)
    assert gc.isenabled()


def test_who_was_interrupted_before_it_let_go_does_so_the_next_time():
    one = object()
    collector.hold_off(one)
    collector.hold_off(one)
    collector.go_on(one)
    assert gc.isenabled()


def test_it_stays_off_for_a_program_that_has_switched_it_off():
    gc.disable()
    one = object()
    collector.hold_off(one)
    collector.go_on(one)
    assert not gc.isenabled()


def test_a_forked_child_has_it_on_whoever_held_it_off():
    one = object()
    collector.hold_off(one)
    try:
        pid = os.fork()
        if pid == 0:
            collector.forget()
            os._exit(0 if gc.isenabled() and not collector._Held.by else 1)
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        collector.go_on(one)
