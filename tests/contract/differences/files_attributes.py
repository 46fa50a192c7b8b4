"""An extended attribute of a file."""

import multiprocessing as mp
import os
import sys
import tempfile


def attempt(folder, conn):
    try:
        conn.send(os.getxattr(os.path.join(folder, "file"), "user.note"))
    except OSError as error:
        conn.send(type(error).__name__)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    here, there = mp.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        with open(path, "w"):
            pass
        os.setxattr(path, "user.note", b"kept")
        process = mp.Process(target=attempt, args=(folder, there))
        process.start()
        print(here.recv())
        process.join()
