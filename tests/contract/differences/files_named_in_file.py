"""A file that a command reads in another file that it is given."""

import multiprocessing as mp
import os
import subprocess
import sys
import tempfile


def attempt(folder, conn):
    # A linker script, a list of sources, an #include by its whole path.
    done = subprocess.run(["sh", os.path.join(folder, "script")], capture_output=True, text=True)
    conn.send((done.returncode, done.stdout))


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    here, there = mp.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "data"), "w") as data:
            data.write("text")
        with open(os.path.join(folder, "script"), "w") as script:
            script.write(f"cat {folder}/data")
        process = mp.Process(target=attempt, args=(folder, there))
        process.start()
        print(here.recv())
        process.join()
