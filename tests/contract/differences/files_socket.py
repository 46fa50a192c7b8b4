"""A socket with a name."""

import multiprocessing as mp
import os
import socket
import stat
import sys
import tempfile


def attempt(folder, conn):
    path = os.path.join(folder, "socket")
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.bind(path)
            conn.send(stat.S_ISSOCK(os.stat(path).st_mode))
        except OSError as error:
            conn.send(type(error).__name__)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    here, there = mp.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        process = mp.Process(target=attempt, args=(folder, there))
        process.start()
        print(here.recv())
        process.join()
