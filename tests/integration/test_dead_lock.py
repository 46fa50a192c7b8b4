"""A lock whose holder has died, and somebody who waits for it."""

from __future__ import annotations

import re
from typing import Any, Callable

import pytest

#: Seconds: the end of what hangs.
LIMIT = 60.0

PROGRAM = """
    import multiprocessing as mp, os, signal, sys

    def hold(lock, conn, how):
        lock.acquire()
        conn.send("it has it")
        if how == "killed":
            conn.recv()
        if how == "left":
            os._exit(3)

    def want(lock):
        print("a process has it:", lock.acquire(timeout=8), flush=True)

    if __name__ == "__main__":
        kind, how = sys.argv[1:]
        lock = getattr(mp, kind)()
        here, there = mp.Pipe()
        holder = mp.Process(target=hold, args=(lock, there, how), name="the holder")
        holder.start()
        here.recv()
        if how == "killed":
            holder.kill()
        holder.join()
        waiter = mp.Process(target=want, args=(lock,), name="the waiter")
        waiter.start()
        print("the client has it:", lock.acquire(timeout=7))
        waiter.join()
        if kind == "Lock":
            lock.release()
            print("then:", lock.acquire(timeout=60))
            lock.release()
    """


@pytest.mark.parametrize(("kind", "how"), [("Lock", "killed"), ("RLock", "left")])
def test_it_stays_locked_and_who_waits_is_told_who_had_it(
    program: Callable[..., Any], kind: str, how: str
) -> None:
    ran = program(PROGRAM, kind, how).finish(LIMIT)
    said = sorted(ran.out.splitlines())
    assert said == ["a process has it: False", "the client has it: False", *["then: True"] * (kind == "Lock")]
    told = sorted(re.findall(r"([\w ]+) has waited for 5 s for a lock that the holder \(pid", ran.err))
    assert told == [" the waiter", "MainProcess"]
    code = -9 if how == "killed" else 3
    assert (
        ran.err.count(f"held when it ended with exit code {code}: as in the standard library it stays") == 2
    )
    assert (len(ran.err.splitlines()), ran.status) == (2, 0)
