"""SharedMemory of a process, and another program that the process starts."""

import multiprocessing as mp
import subprocess
import sys
from multiprocessing import shared_memory as shm

OTHER = """
import sys
from multiprocessing import resource_tracker, shared_memory

try:
    memory = shared_memory.SharedMemory(sys.argv[1])
except FileNotFoundError:
    print("not there")
else:
    # Else this program's tracker would remove it.
    resource_tracker.unregister(memory._name, "shared_memory")
    print("there")
"""


def make(conn):
    memory = shm.SharedMemory(create=True, size=10)
    command = [sys.executable, "-E", "-c", OTHER, memory.name]
    conn.send(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    memory.close()
    memory.unlink()


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    here, there = mp.Pipe()
    process = mp.Process(target=make, args=(there,))
    process.start()
    print(here.recv())
    process.join()
