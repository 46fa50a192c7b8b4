"""The path of a file, as a command that is given it says it."""

import multiprocessing as mp
import os
import subprocess
import sys
import tempfile


def attempt(folder, conn):
    path = os.path.join(folder, "file")
    found = subprocess.run(["ls", path], capture_output=True, text=True)
    conn.send(found.stdout.strip() == path)


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
