"""Whose child the kernel says a process is."""

import multiprocessing as mp
import os
import sys


def tell(conn):
    conn.send(os.getppid())


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    here, there = mp.Pipe()
    process = mp.Process(target=tell, args=(there,))
    process.start()
    # A fork server is a process of its own, between the two.
    print("the one that started it:", here.recv() == os.getpid())
    process.join()
