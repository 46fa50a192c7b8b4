"""A link that leads nowhere, as a command sees it."""

import multiprocessing as mp
import os
import subprocess
import sys
import tempfile


def attempt(folder, conn):
    conn.send(subprocess.run(["test", "-L", os.path.join(folder, "link")]).returncode)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    here, there = mp.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        os.symlink("nowhere", os.path.join(folder, "link"))
        process = mp.Process(target=attempt, args=(folder, there))
        process.start()
        print(here.recv())
        process.join()
