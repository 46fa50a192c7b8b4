"""A file that a command looks for which takes the place of a process."""

import multiprocessing as mp
import os
import sys
import tempfile


def look(path):
    os.execv("/bin/sh", ["sh", "-c", f"test -e {path}"])


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    with tempfile.NamedTemporaryFile() as file:
        process = mp.Process(target=look, args=(file.name,))
        process.start()
        process.join()
        print(process.exitcode)
