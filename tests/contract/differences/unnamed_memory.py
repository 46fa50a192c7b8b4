"""SharedMemory whose name the program never asks for, and that nobody unlinks."""

import multiprocessing as mp
import subprocess
import sys
from multiprocessing import shared_memory as shm

if __name__ == "__main__":
    method, *inner = sys.argv[1:]
    mp.set_start_method(method)
    if inner:
        memory = shm.SharedMemory(create=True, size=10)
        memory.close()
        sys.exit()
    process = mp.Process(target=int)
    process.start()
    process.join()
    # What a tracker complains of comes when its program has ended.
    ended = subprocess.run([sys.executable, __file__, method, "inner"], stderr=subprocess.PIPE, check=True)
    print("complained" if b"resource_tracker" in ended.stderr else "not a word")
