from __future__ import annotations

import threading

from transparent_mp import background
from transparent_mp.primitives import finalizers

LONG = 60


def finalizer(ran):
    def call(self, wr=None, *rest):
        ran.append((self, wr, rest, background.is_ours(), threading.get_ident()))
        return "done"

    return finalizers.elsewhere(call)


def test_in_a_thread_of_the_program_it_runs_there():
    ran = []
    finalize = finalizer(ran)
    assert finalize("self", "ref", 1) == finalize("self") == "done"
    me = threading.get_ident()
    assert ran == [("self", "ref", (1,), False, me), ("self", None, (), False, me)]


def test_what_is_dropped_in_a_thread_of_ours_is_ended_in_another():
    ran, over, told = [], threading.Event(), threading.Event()

    def call(self, wr=None, *rest):
        # What it waits for is done by the thread that came upon it.
        assert told.wait(LONG)
        ran.append((self, wr, rest, threading.get_ident()))
        over.set()

    finalize, idents = finalizers.elsewhere(call), []

    def body():
        idents.append(threading.get_ident())
        finalize("self", "ref", 1)
        told.set()

    background.start(body)
    assert over.wait(LONG)
    assert ran[0][:3] == ("self", "ref", (1,))
    assert ran[0][3] != idents[0]


def test_one_that_is_called_by_name_runs_where_it_is_called():
    ran, over = [], threading.Event()
    finalize = finalizer(ran)

    def body():
        finalize("self")
        over.set()

    background.start(body)
    assert over.wait(LONG)
    assert ran[0][3]
