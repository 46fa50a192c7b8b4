"""A file that is open while another process appends to it."""

import multiprocessing as mp
import os
import sys
import tempfile


def attempt(path, conn):
    try:
        with open(path, "rb") as file:
            conn.send(file.read())
            conn.recv()
            conn.send(file.read())
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
            file.write(b" more")
            file.flush()
            here.send("appended")
            print(here.recv())
            print(here.recv())
            process.join()
