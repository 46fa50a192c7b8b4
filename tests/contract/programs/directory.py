"""The directory in which a process stands."""

import multiprocessing as mp
import os
import sys


def where(queue):
    queue.put(os.getcwd())


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    queue = mp.SimpleQueue()
    for directory in (os.curdir, os.pardir):
        os.chdir(directory)
        process = mp.Process(target=where, args=(queue,))
        process.start()
        print(queue.get() == os.getcwd(), process.name)
        process.join()
