"""Named segments: what outlives whom, what travels, and that nothing is left of them."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

Start = Callable[..., Any]
Survivors = Callable[[str, float], "dict[int, str]"]

#: Seconds within which what is told that its session has ended is gone.
SOON = 5.0
#: The standard library's own names on this machine.
FILES = Path("/dev/shm")

LEAKS = """
    import multiprocessing as mp, os, sys
    from multiprocessing import shared_memory as shm

    def make(conn):
        memory = shm.SharedMemory(create=True, size=2**20)
        memory.buf[:] = b"x" * 2**20
        conn.send(memory.name)
        conn.recv()

    def look(name, conn):
        memory = shm.SharedMemory(name)
        conn.send(bytes(memory.buf[:2]))
        conn.recv()

    def started(target, *args):
        process = mp.Process(target=target, args=args, daemon=True)
        process.start()
        return process

    if __name__ == "__main__":
        here, there = mp.Pipe()
        started(make, there)
        theirs = shm.SharedMemory(here.recv())
        mine = shm.SharedMemory(create=True, size=2**20)
        mine.buf[:2] = b"me"
        gone = shm.SharedMemory(create=True, size=100)
        started(look, mine.name, there)
        started(look, gone.name, there)
        for _ in range(2):
            here.recv()
        gone.unlink()
        print(theirs.name, mine.name, gone.name, bytes(theirs.buf[:2]))
        if sys.argv[1] == "os._exit":
            os._exit(3)
        if sys.argv[1] == "killed":
            sys.stdin.readline()
    """


@pytest.mark.parametrize("end", ["returns", "os._exit", "killed"])
def test_segments_end_with_their_session(program: Start, redis: Any, survivors: Survivors, end: str) -> None:
    server = redis()
    running = program(LEAKS, end, WORKERS="3", REDIS_URL=server.address)
    *names, contents = running.hear().split()
    assert contents == "b'xx'"
    if end == "killed":
        assert [name for name in names if (FILES / name).exists()] == [names[1]]
        running.signal(signal.SIGKILL)
        running.wait()
    else:
        ran = running.finish()
        # As plain Python says of what its process has made and not unlinked.
        assert ran.err.count("leaked shared_memory") == 1, ran.err
    assert survivors(running.mark, SOON) == {}
    assert server.empty_within(0.0 if end == "returns" else 2 * SOON), server.ask("KEYS", "*")
    assert [name for name in names if (FILES / name).exists()] == []


LEFT_ON_WORKERS = """
    import multiprocessing as mp, os, signal, sys
    from multiprocessing import resource_tracker, shared_memory as shm

    def make(conn):
        memory = shm.SharedMemory(create=True, size=9000)
        memory.buf[8999] = 7
        conn.send(memory.name)
        tracker(conn)

    def look(conn, name):
        memory = shm.SharedMemory(name)
        conn.send(memory.buf[8999])
        tracker(conn)
        memory.close()

    def look_and_die(conn, name):
        look(conn, name)
        os.kill(os.getpid(), signal.SIGKILL)

    def tracker(conn):
        conn.send(resource_tracker._resource_tracker._pid)

    def told(target, *args):
        here, there = mp.Pipe()
        process = mp.Process(target=target, args=(there, *args))
        process.start()
        said = here.recv(), here.recv()
        process.join()
        return said

    if __name__ == "__main__":
        mp.set_start_method(sys.argv[1])
        theirs, started = told(make)
        print("a tracker", started)
        mine = shm.SharedMemory(create=True, size=9000)
        mine.buf[8999] = 8
        for name in (theirs, mine.name):
            for target in (look, look_and_die, look):
                print(*told(target, name))
        memory = shm.SharedMemory(theirs)
        print(memory.buf[8999], flush=True)
        memory.close()
        mine.close()
        if sys.argv[2] == "unlinks":
            mine.unlink()
    """


@pytest.mark.parametrize("end", ["unlinks", "leaks"])
@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_no_tracker_on_a_worker_warns_or_removes(program: Start, start: str, end: str) -> None:
    ran = program(LEFT_ON_WORKERS, start, end, WORKERS="2").finish()
    expected = ["a tracker None", *["7 None"] * 3, *["8 None"] * 3, "7"]
    assert (ran.out.splitlines(), ran.status) == (expected, 0), ran.err
    # What the client has made and not unlinked is its own tracker's to tell, and nothing else is.
    of_mine = "resource_tracker: There appear to be 1 leaked shared_memory objects to clean up at shutdown"
    warnings = [line for line in ran.err.splitlines() if "UserWarning" in line]
    assert [of_mine in line for line in warnings] == [True] * (end == "leaks"), ran.err
    assert end == "leaks" or ran.err == ""


MAKER_IS_KILLED = """
    import multiprocessing as mp, os, signal, sys
    from multiprocessing import shared_memory as shm

    def make(name, conn):
        memory = shm.SharedMemory(name, create=True, size=300_000)
        memory.buf[:4] = b"kept"
        memory.buf[299_999] = 1
        conn.send(memory.name)
        memory.buf[:4] = b"late"
        os.kill(os.getpid(), signal.SIGKILL)

    if __name__ == "__main__":
        for name in (None, f"killed_{os.getpid()}"):
            here, there = mp.Pipe()
            process = mp.Process(target=make, args=(name, there))
            process.start()
            process.join()
            memory = shm.SharedMemory(here.recv())
            print(process.exitcode, bytes(memory.buf[:4]) in (b"kept", b"late"), memory.buf[299_999])
            memory.close()
            memory.unlink()
            again = shm.SharedMemory(memory.name, create=True, size=8)
            print(again.buf[0])
            again.close()
            again.unlink()
    """


def test_what_a_maker_has_released_outlives_it(program: Start) -> None:
    ran = program(MAKER_IS_KILLED, WORKERS="2").finish()
    assert (ran.out.splitlines(), ran.err, ran.status) == (["-9 True 1", "0"] * 2, "", 0)


NAMED_ONLY = """
    import multiprocessing as mp, sys
    from multiprocessing import shared_memory as shm

    def look(name, queue):
        memory = None
        while queue.get():
            memory = memory or shm.SharedMemory(name)
            print(memory.buf[0], flush=True)

    if __name__ == "__main__":
        memory = shm.SharedMemory(create=True, size=2**30)
        memory.buf[: 2**24] = bytes(range(256)) * 2**16
        memory.buf[0] = 7
        queue = mp.Queue()
        process = mp.Process(target=look, args=(memory.name, queue))
        process.start()
        queue.put(False if sys.argv[1] == "never" else True)
        print(sys.stdin.readline(), flush=True)
        queue.put(False)
        process.join()
        memory.close()
        memory.unlink()
    """


@pytest.mark.parametrize(("opened", "least", "most"), [("never", 0, 2**22), ("once", 2**24, 2**26)])
def test_contents_travel_when_they_are_looked_at(
    program: Start, redis: Any, opened: str, least: int, most: int
) -> None:
    server = redis()
    running = program(NAMED_ONLY, opened, WORKERS="1", REDIS_URL=server.address)
    if opened == "once":
        assert running.hear() == "7"
    running.say("go on")
    assert running.hear() == "go on"
    ran = running.finish()
    assert (ran.err, ran.status) == ("", 0)
    (peak,) = [
        int(line.partition(b":")[2])
        for line in server.ask("INFO", "memory").splitlines()
        if line.startswith(b"used_memory_peak:")
    ]
    # An empty server takes about a megabyte.
    assert least < peak < most


OTHER_PROGRAM = """
    import multiprocessing as mp, subprocess, sys
    from multiprocessing import shared_memory as shm

    OTHER = "import sys; from multiprocessing.shared_memory import SharedMemory as S; m = S(sys.argv[1]);"
    TRACKED = "from multiprocessing import resource_tracker as r; r.unregister(m._name, 'shared_memory');"

    def other(name, text):
        command = [sys.executable, "-E", "-c", OTHER + TRACKED + text, name]
        return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout

    def look(name):
        memory = shm.SharedMemory(name)
        memory.buf[1] = memory.buf[0] + 1
        memory.close()

    if __name__ == "__main__":
        memory = shm.SharedMemory(create=True, size=10)
        other(memory.name, "m.buf[0] = 4")
        process = mp.Process(target=look, args=(memory.name,))
        process.start()
        process.join()
        print(other(memory.name, "print(m.buf[0], m.buf[1])"))
        memory.unlink()
    """


def test_a_program_that_the_client_starts_by_itself_shares_its_memory(program: Start) -> None:
    ran = program(OTHER_PROGRAM, WORKERS="1").finish()
    assert (ran.out.split("\n")[0], ran.err, ran.status) == ("b'4 5\\n'", "", 0), sys.version
    plain = program(OTHER_PROGRAM, plain=True).finish()
    assert (ran.out, ran.status) == (plain.out, plain.status)
