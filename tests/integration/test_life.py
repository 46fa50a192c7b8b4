"""Life and death: who ends, sees others end, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Callable

import pytest
from running import gone

Start = Callable[..., Any]
Survivors = Callable[[str, float], "dict[int, str]"]

#: Seconds within which what is told that its session has ended is gone.
SOON = 5.0
#: Settings under which the dead are noticed soon. A key lives for three leases.
LEASE = 2
QUICK = {"LEASE": str(LEASE), "WORKERS": "2"}


#: What every program here begins with: processes that say where they run, and then wait.
CREW = """
    import multiprocessing as mp, os, signal, sys, time
    from concurrent.futures import ProcessPoolExecutor

    def place():
        with open("/proc/self/stat") as stat:
            pid, parent = stat.read().split()[0:4:3]
        return f"{pid} {parent}"

    def stay(conn, name):
        conn.send(f"{name} {place()}")
        try:
            conn.recv()
        except KeyboardInterrupt:
            print(f"{name} is interrupted", flush=True)
            sys.exit(7)

    def deaf(conn, name):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stay(conn, name)

    def nap(conn):
        conn.send(place())
        try:
            time.sleep(600)
        except KeyboardInterrupt:
            print("a task is interrupted", flush=True)
            raise

    def idle():
        pass

    def share(here, there):
        # Both ends are in the store before anyone waits at one.
        started(there.send, None).join()
        here.recv()

    def started(target, *args):
        process = mp.Process(target=target, args=args)
        process.start()
        return process
    """

CLEAN = (
    CREW
    + """
    def fill(queue, lock, shared, conn):
        with lock:
            shared["filled"] = True
        for number in range(3):
            queue.put(number)
        conn.send(b"x" * 2**20)
        started(idle).join()

    if __name__ == "__main__":
        here, there = mp.Pipe()
        queue, lock = mp.Queue(), mp.Lock()
        with mp.Manager() as manager, mp.Pool(2) as pool, ProcessPoolExecutor(1) as executor:
            print(pool.map(abs, range(3)), executor.submit(abs, -4).result())
            shared = manager.dict()
            started(fill, queue, lock, shared, there).join()
            print(dict(shared), len(here.recv()))
        # Left unread: two items of the queue, and what follows.
        print(queue.get())
        mp.Process(target=stay, args=(there, "daemon"), daemon=True).start()
        here.recv()
        if sys.argv[1] == "raises":
            raise LookupError("the end")
        if sys.argv[1] == "os._exit":
            sys.stdout.flush()
            os._exit(3)
        print("the end")
    """
)


@pytest.mark.parametrize("embedded", [True, False], ids=["own-server", "shared-server"])
@pytest.mark.parametrize(("end", "status"), [("returns", 0), ("raises", 1), ("os._exit", 3)])
def test_nothing_is_left_after_a_program_s_end(
    program: Start, redis: Any, survivors: Survivors, end: str, status: int, embedded: bool
) -> None:
    server = None if embedded else redis()
    settings = {} if server is None else {"REDIS_URL": server.address}
    running = program(CLEAN, end, WORKERS="2", **settings)
    ran = running.finish()
    assert ran.status == status, ran.err
    assert ran.out.splitlines()[:3] == ["[0, 1, 2] 4", "{'filled': True} 1048576", "0"]
    # What ends without a word to multiprocessing is seen to by the keeper.
    clean = end != "os._exit"
    assert survivors(running.mark, SOON) == {}
    assert server is None or server.empty_within(0.0 if clean else 2 * SOON)


WAITING = (
    CREW
    + """
    if __name__ == "__main__":
        here, there = mp.Pipe()
        queue = mp.Queue()
        queue.put("unread")
        processes = [started(target, there, target.__name__) for target in (stay, deaf)]
        for _ in processes:
            print(here.recv())
        started(queue.put, "shared").join()
        if "forks" in sys.argv:
            child = os.fork()
            if child == 0:
                signal.pause()
            print(child)
        for process in processes:
            process.join()
    """
)


def crew(running: Any, count: int = 2) -> dict[str, tuple[int, int]]:
    """Kernel pids of the processes that said where they run, and of their workers."""
    told = {}
    for _ in range(count):
        name, pid, worker = running.hear().split()
        told[name] = (int(pid), int(worker))
    return told


@pytest.mark.parametrize("embedded", [True, False], ids=["own-server", "shared-server"])
def test_everything_is_gone_soon_after_the_client_is_killed(
    program: Start, redis: Any, survivors: Survivors, embedded: bool
) -> None:
    server = None if embedded else redis()
    settings = {} if server is None else {"REDIS_URL": server.address}
    running = program(WAITING, WORKERS="2", **settings)
    pids = crew(running)
    assert len(running.find("cli.worker")) >= 3
    running.signal(signal.SIGKILL)
    # A second of grace for the process that does not hear SIGTERM.
    assert survivors(running.mark, SOON) == {}
    assert all(gone(pid, 0.0) for pair in pids.values() for pid in pair)
    assert server is None or server.empty_within(2 * SOON)


#: Its manager's server, and a manager of a process's own.
MANAGING = """
    import multiprocessing as mp, sys

    def manage(conn):
        manager = mp.Manager()
        conn.send(manager._process.ident)
        conn.recv()

    if __name__ == "__main__":
        mp.set_start_method(sys.argv[1])
        here, there = mp.Pipe()
        manager = mp.Manager()
        process = mp.Process(target=manage, args=(there,))
        process.start()
        here.recv()
        print("ready")
        process.join()
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_manager_s_server_ends_with_who_made_it(program: Start, survivors: Survivors, method: str) -> None:
    running = program(MANAGING, method, WORKERS="1")
    assert running.hear() == "ready"
    running.signal(signal.SIGKILL)
    assert survivors(running.mark, SOON) == {}


def test_a_child_that_the_program_forked_keeps_nothing_alive(program: Start) -> None:
    running = program(WAITING, "forks", WORKERS="2")
    crew(running)
    child = int(running.hear())
    others = set(running.find("")) - {child}
    assert len(others) > 5
    running.signal(signal.SIGKILL)
    running.wait()
    assert [pid for pid in others if not gone(pid, SOON)] == []
    assert running.find("") == [child]


def test_not_even_a_killed_group_leaves_anything(program: Start, survivors: Survivors) -> None:
    running = program(WAITING, **QUICK)
    crew(running)
    os.killpg(running.pid, signal.SIGKILL)
    assert survivors(running.mark, SOON) == {}


#: Gives a worker its ticket and then holds its input open: one that no end of input tells anything.
HOLDER = """
    import subprocess, sys

    with subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE) as worker:
        worker.stdin.write(sys.stdin.buffer.readline())
        worker.stdin.flush()
        worker.wait()
    """


def test_workers_that_hear_of_no_end_stop_within_the_lease(
    program: Start, redis: Any, survivors: Survivors, tmp_path: Path
) -> None:
    server = redis()
    command = f"{sys.executable} {tmp_path / 'holder.py'}"
    running = program(
        WAITING, files={"holder.py": HOLDER}, REDIS_URL=server.address, WORKER_COMMAND=command, **QUICK
    )
    crew(running)
    (keeper,) = running.find("store.keeper")
    os.kill(keeper, signal.SIGKILL)
    running.signal(signal.SIGKILL)
    # The lease, the time until the next renewal, which is a third of it, and the grace of a deaf one.
    assert survivors(running.mark, LEASE * 4 / 3 + SOON) == {}
    assert server.empty_within(3 * LEASE), server.ask("KEYS", "*")


LOSES_A_WORKER = (
    CREW
    + """
    if __name__ == "__main__":
        pairs = [mp.Pipe() for _ in range(4)]
        processes = [started(stay, there, str(at)) for at, (here, there) in enumerate(pairs)]
        for here, _ in pairs:
            print(here.recv())
        lost = [int(word) for word in sys.stdin.readline().split()]
        for at in lost:
            processes[at].join()
            print(at, processes[at].exitcode)
        for at, (here, _) in enumerate(pairs):
            if at not in lost:
                here.send("go on")
                processes[at].join()
                print(at, processes[at].exitcode)
        process = started(idle)
        process.join()
        print("another", process.exitcode)
    """
)


def test_a_killed_worker_s_processes_end_and_others_go_on(
    program: Start, survivors: Survivors, tmp_path: Path
) -> None:
    running = program(LOSES_A_WORKER, WITNESS=str(tmp_path / "witness"), WORKERS="2")
    pids = crew(running, 4)
    workers = {worker for _, worker in pids.values()}
    assert len(workers) == 2
    worker = pids["0"][1]
    lost = [name for name, (_, where) in pids.items() if where == worker]
    os.kill(worker, signal.SIGKILL)
    assert all(gone(pids[name][0], SOON) for name in lost)
    running.say(" ".join(lost))
    expected = [f"{name} -9" for name in lost] + [f"{name} 0" for name in pids if name not in lost]
    ran = running.finish()
    assert ran.out.splitlines() == [*expected, "another 0"]
    assert (ran.status, ran.err) == (0, "")
    assert survivors(running.mark, SOON) == {}

    lines = [line.split("\t") for line in (tmp_path / "witness").read_text().splitlines()]
    assert sorted(name for _, name, _, _ in lines) == [f"Process-{number}" for number in range(1, 6)]
    assert len({session for session, _, _, _ in lines}) == 1
    assert {host for _, _, _, host in lines} == {socket.gethostname()}
    assert len({worker for _, _, worker, _ in lines[:4]}) == 2


BREAKS = (
    CREW
    + """
    if __name__ == "__main__":
        here, there = mp.Pipe()
        share(here, there)
        executor = ProcessPoolExecutor(1)
        future = executor.submit(stay, there, "task")
        print(here.recv())
        error = future.exception(30)
        print(type(error).__name__, error)
        executor.shutdown()
        with ProcessPoolExecutor(1) as executor:
            print(executor.submit(abs, -5).result(30))
    """
)


def test_an_executor_says_that_its_worker_was_killed(program: Start) -> None:
    running = program(BREAKS, WORKERS="1")
    os.kill(crew(running, 1)["task"][1], signal.SIGKILL)
    assert running.hear().startswith("BrokenProcessPool ")
    assert running.finish().out == "5\n"


INTERRUPTED = (
    CREW
    + """
    def wait_for_pool():
        with mp.Pool(2) as pool:
            pool.map(nap, [there, there], chunksize=1)

    def wait_for_end():
        process = started(stay, there, "a process")
        try:
            process.join()
        except KeyboardInterrupt:
            process.join()
            print("exit code", process.exitcode)
            raise

    def wait_for_item():
        queue = mp.Queue()
        process = started(stay, there, "a process")
        started(queue.put, 1).join()
        queue.get()
        try:
            queue.get()
        finally:
            process.join()

    def tell():
        for _ in range(int(sys.argv[2])):
            print(here.recv(), flush=True)

    if __name__ == "__main__":
        import threading
        here, there = mp.Pipe()
        share(here, there)
        threading.Thread(target=tell).start()
        try:
            globals()[sys.argv[1]]()
        except KeyboardInterrupt:
            print("the client is interrupted")
    """
)


@pytest.mark.parametrize(
    ("wait", "processes", "said"),
    [
        ("wait_for_pool", 2, "a task is interrupted"),
        ("wait_for_end", 1, "a process is interrupted"),
        ("wait_for_item", 1, "a process is interrupted"),
    ],
)
def test_ctrl_c_reaches_everyone_and_leaves_nothing(
    program: Start, survivors: Survivors, wait: str, processes: int, said: str
) -> None:
    running = program(INTERRUPTED, wait, str(processes), WORKERS="2")
    for _ in range(processes):
        running.hear()
    running.interrupt()
    ran = running.finish()
    lines = ran.out.splitlines()
    assert "the client is interrupted" in lines
    # A pool that is interrupted is terminated: its tasks may be gone before they have said a word.
    if wait != "wait_for_pool":
        assert said in lines
        assert ran.err == ""
    if wait == "wait_for_end":
        assert "exit code 7" in lines
    assert ran.status == 0, ran.err
    assert survivors(running.mark, SOON) == {}


LINGERS = (
    CREW
    + """
    if __name__ == "__main__":
        for _ in range(2):
            process = started(idle)
            process.join()
            print("ended", process.exitcode, flush=True)
            sys.stdin.readline()
    """
)


def test_an_idle_worker_leaves_and_the_next_start_finds_another(program: Start, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    running = program(LINGERS, WITNESS=str(witness), WORKERS="1", LINGER="0.5")
    assert running.hear() == "ended 0"
    assert all(gone(pid, SOON) for pid in running.find("cli.worker"))
    running.say("on")
    assert running.hear() == "ended 0"
    running.say("on")
    assert running.finish().status == 0
    workers = [line.split("\t")[2] for line in witness.read_text().splitlines()]
    assert len(set(workers)) == 2


FROZEN = (
    CREW
    + """
    if __name__ == "__main__":
        here, there = mp.Pipe()
        lock = mp.Lock()
        process = started(stay, there, "frozen")
        print(here.recv())
        sys.stdin.readline()
        process.join()
        print("given up", process.exitcode)
        sys.stdin.readline()
        # The worker has come back to life and is gone again.
        print("still", process.exitcode)
        process = started(stay, there, "another")
        print(here.recv().split()[0])
        here.send("end")
        process.join()
        print(process.exitcode)
    """
)


def test_a_worker_that_was_frozen_beyond_its_lease_does_not_act_again(
    program: Start, survivors: Survivors
) -> None:
    running = program(FROZEN, **QUICK)
    process, worker = crew(running, 1)["frozen"]
    for pid in (worker, process):
        os.kill(pid, signal.SIGSTOP)
    running.say("frozen")
    assert running.hear() == "given up -9"
    for pid in (worker, process):
        os.kill(pid, signal.SIGCONT)
    # It finds out by itself, ends its processes and leaves.
    assert gone(process, SOON)
    assert gone(worker, SOON)
    running.say("gone")
    assert running.finish().out.splitlines() == ["still -9", "another", "0"]
    assert survivors(running.mark, SOON) == {}


SPEAKS = """
    import multiprocessing as mp, sys

    def speak(conn):
        for word in ("first", "second"):
            print(word)
            sys.stdout.flush()
            conn.recv()
        print("on stderr", file=sys.stderr)

    if __name__ == "__main__":
        here, there = mp.Pipe()
        process = mp.Process(target=speak, args=(there,))
        process.start()
        for _ in range(2):
            sys.stdin.readline()
            here.send("on")
        process.join()
        print("joined")
    """


def test_output_arrives_while_a_process_runs(program: Start) -> None:
    running = program(SPEAKS)
    for word in ("first", "second"):
        assert running.hear() == word
        running.say("on")
    ran = running.finish()
    assert (ran.out, ran.err, ran.status) == ("joined\n", "on stderr\n", 0)
