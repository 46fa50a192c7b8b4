"""How far a shared semaphore counts."""

import multiprocessing as mp
import sys


def take(semaphore):
    semaphore.acquire()


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    semaphore = mp.Semaphore(2**20)
    process = mp.Process(target=take, args=(semaphore,))
    process.start()
    process.join()
    print(semaphore.get_value())
