"""A worker that freezes under a pool: its lease is over, and what becomes of its tasks."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, Callable

import pytest

Start = Callable[..., Any]

#: Settings under which the dead are noticed soon.
QUICK = {"LEASE": "2", "WORKERS": "2"}

GIVEN_UP = "renewed its lease and is given up"

PROGRAM = """
    import multiprocessing as mp, sys

    def place():
        with open("/proc/self/stat") as stat:
            pid, parent = stat.read().split()[0:4:3]
        return f"{pid} {parent}"

    def share(barrier):
        global together
        together = barrier

    def meet(_):
        together.wait(20)
        return place()

    def square(number):
        return number * number

    def hang(conn):
        conn.send(place())
        conn.recv()

    if __name__ == "__main__":
        mp.set_start_method(sys.argv[1])
        here, there = mp.Pipe()
        with mp.Pool(2, share, (mp.Barrier(2),)) as pool:
            print(*pool.map(meet, range(2), chunksize=1), sep="\\n")
            sys.stdin.readline()
            print(sum(pool.map(square, range(10), chunksize=1)))
            result = pool.apply_async(hang, (there,))
            print(here.recv())
            sys.stdin.readline()
            try:
                result.get()
            except RuntimeError as error:
                print(type(error).__name__, "exit code -9" in str(error))
            sys.stdin.readline()
            print(pool.map(square, range(3), chunksize=1))
    """


def freeze(places: str) -> tuple[int, ...]:
    pids = tuple(map(int, places.split()))
    # The worker first, so that it sees nothing of the other.
    for pid in reversed(pids):
        os.kill(pid, signal.SIGSTOP)
    return pids


def test_a_frozen_worker_loses_the_task_that_it_runs_and_no_other(program: Start) -> None:
    running = program(PROGRAM, "fork", **QUICK)
    idle, _ = running.hear(), running.hear()
    frozen = freeze(idle)
    running.say("one worker of two is frozen, and its process waits for a task")
    # It is given one that it never sees, and that is run when its lease is over.
    assert running.hear() == str(sum(number * number for number in range(10)))
    frozen += freeze(running.hear())
    running.say("a worker is frozen, and its process runs a task")
    assert running.hear() == "WorkerLostError True"
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    running.say("they go on")
    assert running.hear() == "[0, 1, 4]"
    ran = running.finish()
    assert ran.status == 0
    assert [line.partition("has not ")[2] for line in ran.err.splitlines()] == [GIVEN_UP] * 2


#: Tasks so short that their results go together; one in the middle of many ends its process.
SHORT_TASKS = """
    import multiprocessing as mp, os, signal, sys
    from collections import Counter

    LAST = 600

    def task(number):
        os.write(RUNS, b"%d\\n" % number)
        if number == LAST // 2:
            os.kill(os.getpid(), signal.SIGKILL) if WAY == "kill" else os._exit(3)
        return number

    def begin(path, way):
        global RUNS, WAY
        RUNS, WAY = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), way

    if __name__ == "__main__":
        path, way = sys.argv[1:]
        with mp.Pool(2, begin, (path, way)) as pool:
            pool.map(task, range(LAST, LAST + 200), chunksize=1)
            results, found, lost = pool.imap(task, range(LAST), chunksize=1), [], 0
            for number in range(LAST):
                try:
                    found.append(next(results))
                except RuntimeError:
                    lost += 1
        with open(path) as file:
            runs = Counter(map(int, file))
        print(lost, found == [number for number in range(LAST) if number != LAST // 2])
        print(len(runs), set(runs.values()))
    """


@pytest.mark.parametrize("way", ["kill", "_exit"])
def test_of_short_tasks_only_the_one_that_died_is_lost_and_none_runs_twice(
    program: Start, tmp_path: Path, way: str
) -> None:
    ran = program(SHORT_TASKS, str(tmp_path / "runs"), way, WORKERS="2").finish()
    assert ran.out.split("\n")[:2] == ["1 True", "800 {1}"]


BESIDE = """
    import multiprocessing as mp, os, signal, sys, threading

    def die(way):
        if way == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif way == "calls os._exit":
            os._exit(3)
        sys.exit("the end")

    def wait(condition, conn):
        with condition:
            conn.send("waiting")
            condition.wait()

    def notify(condition):
        with condition:
            condition.notify()
        return "is notified"

    def cases():
        for way in ("is killed", "calls os._exit", "calls sys.exit"):
            pool = mp.Pool(1)
            yield "a task that " + way, pool.apply_async(die, (way,)).get, pool
        condition = mp.Condition()
        here, there = mp.Pipe()
        process = mp.Process(target=wait, args=(condition, there))
        process.start()
        here.recv()
        with condition:
            # It has let go of the lock, so it waits.
            process.kill()
        process.join()
        yield "a condition whose waiter is killed", lambda: notify(condition), process

    def see(name, call, seen):
        try:
            seen[name] = call()
        except RuntimeError as error:
            seen[name] = type(error).__name__

    if __name__ == "__main__":
        mp.set_start_method(sys.argv[1])
        seen, threads, kept = {}, {}, []
        for name, call, what in cases():
            kept.append(what)
            threads[name] = threading.Thread(target=see, args=(name, call, seen), daemon=True)
            threads[name].start()
        for name, thread in threads.items():
            thread.join(float(sys.argv[2]))
            print(name, seen.get(name, "hangs"))
        sys.stdin.readline()
    """
CASES = ("a task that is killed", "a task that calls os._exit", "a task that calls sys.exit")


def test_what_hangs_in_plain_python_ends_here(program: Start) -> None:
    running = program(BESIDE, "fork", "1.0", plain=True)
    plain = [running.hear() for _ in range(4)]
    assert plain == [f"{case} hangs" for case in (*CASES, "a condition whose waiter is killed")]
    for method in ("fork", "spawn"):
        running = program(BESIDE, method, "60", WORKERS="2")
        ours = [running.hear(within=120) for _ in range(4)]
        assert ours[:3] == [f"{case} WorkerLostError" for case in CASES]
        assert ours[3:] == ["a condition whose waiter is killed is notified"]
