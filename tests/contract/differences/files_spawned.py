"""A file that a command looks for which os.posix_spawn has started."""

import multiprocessing as mp
import os
import sys
import tempfile


def attempt(folder, conn):
    words = ["sh", "-c", f"test -e {folder}/file"]
    child = os.posix_spawn("/bin/sh", words, os.environ)
    conn.send(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    here, there = mp.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "file"), "w"):
            pass
        process = mp.Process(target=attempt, args=(folder, there))
        process.start()
        print(here.recv())
        process.join()
