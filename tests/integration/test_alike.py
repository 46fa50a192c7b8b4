"""Processes that are alike, one after the other: a template is copied for them, and what becomes of that."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Callable

import pytest
from running import gone

from transparent_mp.worker import siblings

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or siblings.calls() is None, reason="nobody forks siblings here"
)

Start = Callable[..., Any]

#: Notes the kernel's number of each process that runs it.
NOTED = """
    import os

    with open("/proc/self/stat") as stat:
        place = stat.read().split()[0]
    with open("noted", "a") as file:
        file.write(place + chr(10))
"""

PROGRAM = """
    import multiprocessing as mp, os, signal, sys, time
    import noted

    def noted_here():
        with open("noted") as file:
            return file.read().split()

    def work(number, conn):
        assert noted.place
        with open("/proc/self/stat") as stat:
            conn.send((number, stat.read().split()[3]))
        sys.exit(number % 100)

    def one(number):
        here, there = mp.Pipe()
        process = mp.Process(target=work, args=(number, there))
        process.start()
        told = here.recv()
        process.join()
        assert told[0] == number and process.exitcode == number % 100, (told, process.exitcode)
        return told[1]

    def until_copied():
        # The template is made beside the first ones, which import the module, as the client has.
        number, deadline, same = 0, time.monotonic() + 60, 0
        assert len(noted_here()) == 1
        while same < 5 and time.monotonic() < deadline:
            before = len(noted_here())
            worker = one(number)
            number += 1
            same = same + 1 if len(noted_here()) == before else 0
        print("copied" if same == 5 else "not copied", flush=True)
        return worker

    if __name__ == "__main__":
        mp.set_start_method("fork")
        worker = until_copied()
        print(worker, *noted_here()[1:], flush=True)
        sys.stdin.readline()
        for number in range(10):
            one(number)
        print("done")
"""


def begun(program: Start) -> tuple[Any, int, int]:
    """A program that has a template, whose number follows, and its worker's."""
    running = program(PROGRAM, files={"noted.py": NOTED}, WORKERS="1", LEASE="4")
    assert running.hear(90.0) == "copied"
    worker, *noted = map(int, running.hear().split())
    # The others have ended, or are about to.
    deadline = time.monotonic() + 60.0
    while len(noted) > 1 and time.monotonic() < deadline:
        noted = [number for number in noted if not gone(number, 0.1)]
    (template,) = noted
    return running, template, worker


def test_modules_are_not_imported_by_each_of_them(program: Start) -> None:
    running, template, worker = begun(program)
    # Its processes are the worker's all the same.
    assert template != worker
    running.say("go on")
    ran = running.finish(60.0)
    assert (ran.out, ran.err, ran.status) == ("done\n", "", 0)
    assert gone(template, 60.0)


MUCH = """def much(text, conn):
        conn.send((len(text), os.getpid()))

    def work("""
LARGE = """\
        for number in range(3):
            # Much of it does not come with the order.
            here, there = mp.Pipe()
            process = mp.Process(target=much, args=("x" * 3_000_000, there))
            process.start()
            assert here.recv() == (3_000_000, process.pid)
            process.join()
            assert process.exitcode == 0
            one(number)
        print("done")
"""


def test_one_with_much_of_its_own_has_it_all_the_same(program: Start) -> None:
    text = PROGRAM.replace("def work(", MUCH)
    text = text[: text.index("        for number in range(10):")] + LARGE
    running = program(text, files={"noted.py": NOTED}, WORKERS="1", LEASE="4")
    assert running.hear(90.0) == "copied"
    running.say("go on")
    ran = running.finish(60.0)
    assert (ran.err, ran.status) == ("", 0)
    assert ran.out.endswith("done\n")


def test_without_its_template_they_go_on(program: Start) -> None:
    running, template, _ = begun(program)
    os.kill(template, signal.SIGKILL)
    running.say("go on")
    ran = running.finish(60.0)
    assert (ran.out, ran.err, ran.status) == ("done\n", "", 0)


def test_a_template_ends_with_its_worker(program: Start) -> None:
    _, template, worker = begun(program)
    os.kill(worker, signal.SIGKILL)
    assert gone(template, 60.0)


UNFIT = """
    import os, threading

    with open("noted", "a") as file:
        file.write("x")
    lock = threading.Lock()
    threading.Thread(target=threading.Event().wait, daemon=True).start()
"""


def test_where_a_template_is_not_fit_each_is_made_ready_by_itself(program: Start, tmp_path: Path) -> None:
    text = """
        import multiprocessing as mp, threading
        import noted

        def work(conn):
            with noted.lock:
                conn.send(threading.active_count())

        if __name__ == "__main__":
            mp.set_start_method("fork")
            for _ in range(10):
                here, there = mp.Pipe()
                process = mp.Process(target=work, args=(there,))
                process.start()
                print(here.recv(), end=" ")
                process.join()
    """
    running = program(text, files={"noted.py": UNFIT}, WORKERS="1")
    ran = running.finish(60.0)
    # Unlike under plain fork, where nothing runs that thread.
    assert (ran.out, ran.err, ran.status) == ("2 " * 10, "", 0)
    # The client, each process, and what was not fit.
    assert len((tmp_path / "noted").read_text()) in (11, 12)
