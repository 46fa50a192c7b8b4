"""Files that are large, and disks that are full: what travels, what it takes, what is said.

TRANSPARENT_MP_TEST_LARGE=1 gives the large file its full gigabyte.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

import transparent_mp

SANDBOX = Path(__file__).parents[1] / "sandbox" / "sandbox"
PACKAGE = Path(transparent_mp.__file__).resolve().parent
MEGABYTE = 1 << 20
SIZE = (1024 if os.environ.get("TRANSPARENT_MP_TEST_LARGE") else 96) * MEGABYTE

Start = Callable[..., Any]
Serve = Callable[..., Any]


def in_sandbox(tmp: str) -> str:
    """The command that puts a worker into the sandbox, with that much room."""
    if os.geteuid() != 0 and os.environ.get("CI", "false") == "false":
        pytest.skip("the sandbox makes namespaces, which needs root")
    return f"{SANDBOX} --tmp {tmp} --ro {sys.prefix} --ro {PACKAGE} --"


READ = """
    import hashlib, multiprocessing as mp, os, sys, tempfile

    def peak():
        # Of this process alone: getrusage also knows what ran here before exec.
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) >> 10 for line in status if line.startswith("VmHWM"))

    def read(path, barrier, queue):
        barrier.wait()
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while piece := file.read(1 << 16):
                digest.update(piece)
        queue.put((digest.hexdigest(), peak(), os.stat(path).st_size))

    if __name__ == "__main__":
        size = int(sys.argv[1])
        digest = hashlib.sha256()
        with tempfile.NamedTemporaryFile("wb") as file:
            for number in range(size >> 20):
                piece = number.to_bytes(8, "little") * (1 << 17)
                digest.update(piece)
                file.write(piece)
            file.flush()
            barrier, queue = mp.Barrier(4), mp.SimpleQueue()
            processes = [mp.Process(target=read, args=(file.name, barrier, queue)) for _ in range(4)]
            for process in processes:
                process.start()
            found = [queue.get() for _ in processes]
            for process in processes:
                process.join()
        print("same", {(digest, size) for digest, _, size in found} == {(digest.hexdigest(), size)})
        print("peak", max(most for _, most, _ in found), peak())
"""


def test_a_large_file_travels_once_per_worker_in_bounded_memory(program: Start, redis: Serve) -> None:
    store = redis()
    reading = program(READ, str(SIZE), WORKERS="2", WORKER_COMMAND=in_sandbox("2g"), REDIS_URL=store.address)
    ran = reading.finish(within=180)
    assert (ran.err, ran.status) == ("", 0)
    same, peak = ran.out.splitlines()
    assert same == "same True"
    assert max(map(int, peak.split()[1:])) < 200
    info = store.ask("INFO").decode()
    sent = int(re.search(r"total_net_output_bytes:(\d+)", info).group(1))  # type: ignore[union-attr]
    most = int(re.search(r"used_memory_peak:(\d+)", info).group(1))  # type: ignore[union-attr]
    # Once to each of the two workers, though two processes on each read it at the same time.
    assert 2 * SIZE <= sent < 2.2 * SIZE
    assert most < 100 * MEGABYTE


FULL = """
    import multiprocessing as mp, os, sys, tempfile

    def attempt(path, queue):
        for mode in ("rb", "r+b"):
            try:
                with open(path, mode) as file:
                    queue.put((mode, len(file.read())))
            except OSError as error:
                queue.put((mode, type(error).__name__, error.errno, error.filename == path))
        small = path + ".small"
        with open(small, "w") as file:
            file.write("there is room for this")
        with open(small) as file:
            queue.put(file.read())
        os.unlink(small)

    if __name__ == "__main__":
        queue = mp.SimpleQueue()
        with tempfile.NamedTemporaryFile("wb") as file:
            file.truncate(32 << 20)
            process = mp.Process(target=attempt, args=(file.name, queue))
            process.start()
            for _ in range(3):
                print(queue.get())
            process.join()
        print(process.exitcode)
"""


def test_a_full_disk_on_the_worker_is_an_error_of_the_file(program: Start) -> None:
    ran = program(FULL, WORKERS="1", WORKER_COMMAND=in_sandbox("16m")).finish()
    assert (ran.err, ran.status) == ("", 0)
    assert ran.out.splitlines() == [
        "('rb', 'OSError', 28, True)",
        "('r+b', 'OSError', 28, True)",
        "there is room for this",
        "0",
    ]


VANISHES = """
    import fcntl, multiprocessing as mp, os, tempfile

    def hold(path, end):
        with open(path, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write("written")
            file.flush()
            # Where it is when its worker is gone.
            end.send(os.path.getsize(path))
            end.recv()

    def lock(path):
        with open(path, "r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                return type(error).__name__
            return "locked, " + file.read()

    if __name__ == "__main__":
        with tempfile.NamedTemporaryFile() as file:
            mine, theirs = mp.Pipe()
            process = mp.Process(target=hold, args=(file.name, theirs))
            process.start()
            print(mine.recv(), lock(file.name), flush=True)
            input()
            process.join()
            print(process.exitcode, lock(file.name))
"""


def test_locks_of_a_worker_that_vanishes_are_free_when_its_process_is_joined(program: Start) -> None:
    running = program(VANISHES, WORKERS="1", WORKER_COMMAND=in_sandbox("16m"), LEASE="60")
    assert running.hear() == "7 BlockingIOError"
    for pid in running.find("transparent_mp.cli.worker"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    running.say("gone")
    ran = running.finish()
    assert (ran.out, ran.status) == ("-9 locked, written\n", 0)


COST = """
    import multiprocessing as mp, os, sys, tempfile, time
    from pathlib import Path

    def cost(folder, end):
        # What the budget's tests count, too.
        from transparent_mp.primitives import session
        store = session.current().store

        def waits(do):
            before = store.waits
            do()
            return store.waits - before

        def read(name):
            with open(os.path.join(folder, name), "rb") as file:
                file.read()

        def write():
            with open(os.path.join(folder, "new"), "w") as file:
                for number in range(1000):
                    file.write("x" * 1000)

        def append():
            with open(os.path.join(folder, "new"), "a") as file:
                for number in range(100):
                    print(number, file=file, flush=True)

        end.send([
            ("first open", waits(lambda: read("file"))),
            ("open, unchanged", waits(lambda: read("file"))),
            ("a large one", waits(lambda: read("large"))),
            ("the same again", waits(lambda: read("large"))),
            ("write", waits(write)),
            ("append", waits(append)),
            ("stat", waits(lambda: os.stat(os.path.join(folder, "file")))),
            ("listdir", waits(lambda: os.listdir(folder))),
            ("walk", waits(lambda: [None for _ in os.walk(folder)])),
            ("rename", waits(lambda: os.rename(os.path.join(folder, "new"), os.path.join(folder, "file2")))),
            ("resolve", waits(lambda: os.path.realpath(os.path.join(folder, "file")))),
            ("temporary", waits(lambda: tempfile.TemporaryFile(dir=folder).close())),
        ])

    if __name__ == "__main__":
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "file").write_bytes(b"content")
            Path(folder, "large").write_bytes(b"x" * (24 << 20))
            for number in range(4):
                Path(folder, str(number)).mkdir()
            # A file that has just been written could be written again without a new time.
            time.sleep(0.5)
            mine, theirs = mp.Pipe()
            process = mp.Process(target=cost, args=(folder, theirs))
            process.start()
            for name, waits in mine.recv():
                print(name, waits, sep=": ")
            process.join()
"""


def test_each_operation_costs_what_the_document_says(program: Start) -> None:
    ran = program(COST, WORKERS="1", WORKER_COMMAND=in_sandbox("512m")).finish()
    assert (ran.err, ran.status) == ("", 0)
    assert dict(line.split(": ") for line in ran.out.splitlines()) == {
        "first open": "1",
        "open, unchanged": "1",
        # And three reads of 8 MB.
        "a large one": "4",
        "the same again": "1",
        "write": "2",
        "append": "2",
        "stat": "1",
        "listdir": "1",
        # Five directories, and whether each of four is a link.
        "walk": "9",
        "rename": "1",
        "resolve": "1",
        "temporary": "0",
    }
