"""Who was taken for dead and wakes again changes nothing: frozen beyond its lease, with its supervisor."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any, Callable

import pytest

Start = Callable[..., Any]

#: Settings under which the dead are noticed soon.
QUICK = {"LEASE": "2", "WORKERS": "2"}

#: What the process does when it wakes comes through FIFOs that no session knows of.
SLEEPER = """
    import multiprocessing as mp, os, sys, threading, time

    def attempt(told, name, act):
        try:
            act()
        except BaseException as error:
            told.write(f"{name} {type(error).__name__} {error}\\n")
        else:
            told.write(f"{name} went unnoticed\\n")

    def swallow(items):
        try:
            items.get()
        except OSError:
            pass

    def sleeper(conn, queue, bounded, items, lock, value, raw, event, condition, barrier):
        threading.Thread(target=swallow, args=(items,), daemon=True).start()
        lock.acquire()
        with open("/proc/self/stat") as stat:
            pid, parent = stat.read().split()[0:4:3]
        conn.send(f"{pid} {parent}")
        # Frozen here.
        with open("wake") as wake:
            wake.read()
        def increment():
            with value.get_lock():
                value.value += 1
        def write():
            raw[0] = 7
            conn.send("published")
        def arrive():
            barrier.wait(0.1)
        with open("told", "w") as told:
            for name, act in {
                "put": lambda: queue.put("from the dead"),
                "get": lambda: bounded.get(timeout=5),
                "send": lambda: conn.send("from the dead"),
                "increment": increment,
                "write": write,
                "release": lock.release,
                "set": event.set,
                "notify": lambda: condition.acquire() and condition.notify_all(),
                "arrive": arrive,
                "start": mp.Process(target=print, args=("from the dead",)).start,
                "close": conn.close,
            }.items():
                attempt(told, name, act)

    def take(items, conn):
        conn.send(items.get())

    def started(*args):
        process = mp.Process(target=args[0], args=args[1:])
        process.start()
        return process

    if __name__ == "__main__":
        here, there = mp.Pipe()
        queue, bounded, items = mp.Queue(), mp.Queue(3), mp.Queue()
        lock, event, condition = mp.Lock(), mp.Event(), mp.Condition()
        value, raw, barrier = mp.Value("i", 5), mp.RawArray("i", 2), mp.Barrier(2)
        bounded.put("kept")
        process = started(
            sleeper, there, queue, bounded, items, lock, value, raw, event, condition, barrier
        )
        print(here.recv())
        process.join()
        print("given up", process.exitcode)
        sys.stdin.readline()
        items.put("for the living")
        mine, theirs = mp.Pipe()
        started(take, items, theirs).join(60)
        print(mine.recv() if mine.poll(60) else "swallowed")
        print(queue.empty(), bounded.get(timeout=60), value.value, raw[0], event.is_set())
        print(lock.acquire(timeout=0.1), barrier.n_waiting, here.poll(), len(mp.active_children()))
    """


def test_a_process_that_wakes_after_it_was_given_up_has_changed_nothing(
    program: Start, tmp_path: Path
) -> None:
    for name in ("wake", "told"):
        os.mkfifo(tmp_path / name)
    running = program(SLEEPER, **QUICK)
    process, worker = map(int, running.hear().split())
    for pid in (worker, process):
        os.kill(pid, signal.SIGSTOP)
    assert running.hear() == "given up -9"
    # Its supervisor, which would end it, sleeps on.
    os.kill(process, signal.SIGCONT)
    (tmp_path / "wake").write_text("wake")
    told = (tmp_path / "told").read_text().splitlines()
    running.say("it has tried")
    assert [line.split()[0] for line in told] == [
        *("put", "get", "send", "increment", "write", "release", "set", "notify", "arrive"),
        *("start", "close"),
    ]
    (refused,) = [line for line in told if line.startswith("get")]
    assert "SessionLostError this process was taken for dead" in refused
    assert running.hear() == "for the living"
    assert running.hear() == "True kept 5 0 False"
    assert running.hear() == "False 0 False 0"
    os.kill(worker, signal.SIGCONT)
    assert running.finish().status == 0


KILLED = """
    import multiprocessing as mp, os, signal, sys, threading

    def waits(items, conn):
        thread = threading.Thread(target=items.get, daemon=True)
        thread.start()
        conn.send("waits")
        # Answered, so nothing that it has sent is still on its way when it is killed.
        conn.recv()
        os.kill(os.getpid(), signal.SIGKILL) if sys.argv[1] == "killed" else os._exit(3)

    if __name__ == "__main__":
        here, there = mp.Pipe()
        got = []
        for number in range(5):
            # One for each: the next process would take it, alive.
            items = mp.Queue()
            process = mp.Process(target=waits, args=(items, there))
            process.start()
            here.recv()
            here.send("end")
            process.join()
            items.put(number)
            got.append(items.get(timeout=20))
        print(got)
    """


@pytest.mark.parametrize("how", ["killed", "exits"])
def test_a_process_that_ends_while_it_waits_takes_nothing_after_its_end(program: Start, how: str) -> None:
    ran = program(KILLED, how, WORKERS="2").finish(60)
    assert (ran.status, ran.out) == (0, "[0, 1, 2, 3, 4]\n"), ran.err


SENT = """
    import multiprocessing as mp, os, signal, sys

    def last_words(conn):
        with open("/proc/self/stat") as stat:
            conn.send(stat.read().split()[0])
        conn.recv()
        # Opened here and there at once; what it sends from now on waits for the server.
        open("go").close()
        for number in range(60):
            conn.send((number, b"x" * 1000))
        if sys.argv[1] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(3)

    if __name__ == "__main__":
        here, there = mp.Pipe()
        process = mp.Process(target=last_words, args=(there,))
        process.start()
        there.close()
        print(here.recv())
        here.send("go")
        process.join()
        print(process.exitcode)
        heard = []
        try:
            while True:
                heard.append(here.recv()[0])
        except EOFError:
            print(heard == list(range(60)), len(heard))
    """


def reaped(pid: int) -> None:
    """Wait until its parent has seen a process end."""
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the process does not end"
        time.sleep(0.01)


@pytest.mark.parametrize(("how", "code"), [("killed", "-9"), ("exits", "3")])
def test_what_a_process_sent_before_it_was_killed_arrives_before_its_exit(
    program: Start, redis: Any, tmp_path: Path, how: str, code: str
) -> None:
    os.mkfifo(tmp_path / "go")
    server = redis()
    running = program(SENT, how, REDIS_URL=server.address)
    process = int(running.hear())
    with open(tmp_path / "go", "w"):
        server.signal(signal.SIGSTOP)
    # More than it reads at a time waits for the server, and the supervisor's word behind it.
    reaped(process)
    server.signal(signal.SIGCONT)
    assert running.hear() == code
    assert running.hear() == "True 60"
    assert running.finish().status == 0
