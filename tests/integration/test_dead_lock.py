"""A lock whose holder has died, and somebody who waits for it."""

from __future__ import annotations

import re
from typing import Any, Callable

#: Seconds: the end of what hangs.
LIMIT = 60.0

PROGRAM = """
    import multiprocessing as mp

    def hold(lock, conn):
        lock.acquire()
        conn.send("it has it")
        conn.recv()

    def want(lock):
        print("a process has it:", lock.acquire(timeout=6), flush=True)

    if __name__ == "__main__":
        lock = mp.Lock()
        here, there = mp.Pipe()
        holder = mp.Process(target=hold, args=(lock, there), name="the holder")
        holder.start()
        here.recv()
        holder.kill()
        holder.join()
        waiter = mp.Process(target=want, args=(lock,), name="the waiter")
        waiter.start()
        print("the client has it:", lock.acquire(timeout=6))
        waiter.join()
        lock.release()
        print("then:", lock.acquire(timeout=60))
        lock.release()
    """


def test_it_stays_locked_and_who_waits_is_told_who_had_it(program: Callable[..., Any]) -> None:
    ran = program(PROGRAM).finish(LIMIT)
    said = sorted(ran.out.splitlines())
    assert said == ["a process has it: False", "the client has it: False", "then: True"]
    told = sorted(re.findall(r"([\w ]+) has waited for 5 s for a lock that the holder \(pid", ran.err))
    assert told == [" the waiter", "MainProcess"]
    assert (
        ran.err.count("held when it ended with exit code -9: as in the standard library it stays locked") == 2
    )
    assert (len(ran.err.splitlines()), ran.status) == (2, 0)
