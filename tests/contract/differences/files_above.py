"""A directory above those that the client serves, opened as a descriptor."""

import multiprocessing as mp
import os
import sys


def attempt(conn):
    fd = os.open("/", os.O_RDONLY)
    try:
        os.stat(os.getcwd().lstrip("/"), dir_fd=fd)
        conn.send("found")
    except FileNotFoundError:
        conn.send("not found")
    os.close(fd)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    here, there = mp.Pipe()
    process = mp.Process(target=attempt, args=(there,))
    process.start()
    print(here.recv())
    process.join()
