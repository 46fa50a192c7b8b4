"""A file that C code opens by its path: a class derived from one in C."""

import io
import multiprocessing as mp
import os
import sys
import tempfile


class Raw(io.FileIO):
    pass


def attempt(path, conn):
    try:
        conn.send(Raw(path).read())
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
            process = mp.Process(target=attempt, args=(path, there))
            process.start()

            print(here.recv())
            process.join()
