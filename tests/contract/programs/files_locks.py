"""Locks on files, and a counter that they guard."""

import fcntl
import multiprocessing as mp
import os
import sys
import tempfile
from pathlib import Path


def count(folder, lock, number):
    for _ in range(10):
        with open(f"{folder}/lock", "w") as file:
            lock(file, fcntl.LOCK_EX)
            value = int(Path(folder, "counter").read_text())
            Path(folder, "counter").write_text(str(value + 1))
    # One that is opened for reading can be locked as well.
    with open(f"{folder}/counter") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_SH)


def flock(file, how):
    fcntl.flock(file, how)


def lockf(file, how):
    fcntl.lockf(file.fileno(), how)


def lockf_part(file, how):
    fcntl.lockf(file, how, 10, 5)


def hold(path, lock, end):
    with open(path, "r+") as file:
        lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        end.send("has it")
        end.recv()
        lock(file, fcntl.LOCK_UN)
        end.send("has let go")
        end.recv()
        lock(file, fcntl.LOCK_EX)
        end.send("has it again")
        end.recv()
        os._exit(0)


def attempt(path, lock):
    with open(path, "r+") as file:
        try:
            lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return type(error).__name__, error.errno == 11 or error.errno == 13
        return "got it"


def tried(path, lock, queue):
    queue.put(attempt(path, lock))


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "file").touch()
        for lock in (flock, lockf, lockf_part):
            Path(folder, "counter").write_text("0")
            processes = [mp.Process(target=count, args=(folder, lock, number)) for number in range(4)]
            for process in processes:
                process.start()
            for process in processes:
                process.join()
            print(
                lock.__name__,
                Path(folder, "counter").read_text(),
                [process.exitcode for process in processes],
            )

            mine, theirs = mp.Pipe()
            queue = mp.SimpleQueue()
            process = mp.Process(target=hold, args=(f"{folder}/file", lock, theirs))
            process.start()
            for _ in range(3):
                print(mine.recv(), attempt(f"{folder}/file", lock))
                other = mp.Process(target=tried, args=(f"{folder}/file", lock, queue))
                other.start()
                print(queue.get())
                other.join()
                mine.send(None)
            process.join()
