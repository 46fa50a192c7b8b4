"""A lock of `fcntl.fcntl`."""

import fcntl
import multiprocessing as mp
import os
import struct
import sys
import tempfile


def attempt(path, conn):
    try:
        fcntl.fcntl(os.open(path, os.O_RDWR), fcntl.F_SETLK, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0))
        conn.send("done")
    except OSError as error:
        conn.send(type(error).__name__)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    here, there = mp.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        with open(path, "w+b") as file:
            file.write(b"text")
            file.flush()
            fcntl.lockf(file, fcntl.LOCK_EX)
            process = mp.Process(target=attempt, args=(path, there))
            process.start()

            print(here.recv())
            process.join()
