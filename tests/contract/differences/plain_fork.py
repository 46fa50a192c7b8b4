"""A lock that was never given to a process, and a child that the program forks by itself."""

import multiprocessing as mp
import os
import sys

if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    lock = mp.Lock()
    pid = os.fork()
    if pid == 0:
        lock.acquire()
        os._exit(0)
    os.waitpid(pid, 0)
    print("is free:", lock.acquire(block=False))
    process = mp.Process(target=abs, args=(1,))
    process.start()
    process.join()
