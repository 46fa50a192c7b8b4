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
    collector.hold_off("a")
    collector.hold_off("b")
    assert not gc.isenabled()
    collector.go_on("a")
    assert not gc.isenabled()
    collector.go_on("b")
    assert gc.isenabled()


def test_one_that_was_cut_short_lets_go_with_the_next():
    collector.hold_off("a")
    collector.hold_off("a")
    collector.go_on("a")
    assert gc.isenabled()


def test_it_stays_off_for_a_program_that_has_switched_it_off():
    gc.disable()
    collector.hold_off("a")
    collector.go_on("a")
    assert not gc.isenabled()


def test_a_forked_child_has_it_on_whoever_held_it_off():
    collector.hold_off("a")
    try:
        pid = os.fork()
        if pid == 0:
            collector.forget()
            os._exit(0 if gc.isenabled() and not collector._Held.by else 1)
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        collector.go_on("a")
