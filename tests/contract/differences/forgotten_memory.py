"""SharedMemory that a process makes, names to its parent, and nobody unlinks."""

import multiprocessing as mp
import subprocess
import sys
from multiprocessing import shared_memory as shm


def make(conn):
    memory = shm.SharedMemory(create=True, size=10)
    conn.send(memory.name)
    conn.recv()


def forget():
    here, there = mp.Pipe()
    process = mp.Process(target=make, args=(there,))
    process.start()
    here.recv()
    here.send(None)
    process.join()


if __name__ == "__main__":
    method, *inner = sys.argv[1:]
    mp.set_start_method(method)
    if inner:
        forget()
        sys.exit()
    process = mp.Process(target=int)
    process.start()
    process.join()
    # What a tracker complains of comes when its program has ended.
    ended = subprocess.run([sys.executable, __file__, method, "inner"], stderr=subprocess.PIPE, check=True)
    print("complained" if b"resource_tracker" in ended.stderr else "not a word")
