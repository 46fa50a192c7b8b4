"""Arrays over a file, which forked processes inherit and write."""

import multiprocessing as mp
import os
import sys
import tempfile

import numpy as np


def write(number):
    whole[number] = 5 + number
    part[number] = -number
    matrix[number, 1] = number
    same[10 + number] = number
    whole.flush()


def look(queue):
    queue.put((type(whole).__name__, whole.mode, whole[:2].tolist(), copy[0], readable[0]))
    copy[0] = 9


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "array")
        whole = np.memmap(name, "f8", "w+", shape=(1000,))
        whole[0] = 3
        part, same = whole[900:], np.asarray(whole)
        matrix = np.memmap(name, "f8", "r+", offset=4000, shape=(10, 2), order="F")
        copy, readable = np.memmap(name, "f8", "c"), np.memmap(name, "f8", "r")
        processes = [mp.Process(target=write, args=(number,)) for number in range(1, 4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        print([process.exitcode for process in processes])
        print(whole[:14].tolist(), part[:5].tolist(), matrix[:4].tolist(), readable[901])
        queue = mp.Queue()
        process = mp.Process(target=look, args=(queue,))
        process.start()
        print(queue.get(), process.join(), copy[0])
