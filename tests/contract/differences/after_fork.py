"""What is registered to be called after a fork, for an object that a process inherits."""

import multiprocessing as mp
import sys
from multiprocessing import util


class Counted:
    def __init__(self):
        self.forks = 0
        util.register_after_fork(self, Counted.forked)

    def forked(self):
        self.forks += 1


def tell(conn, counted):
    conn.send(counted.forks)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    here, there = mp.Pipe()
    counted = Counted()
    process = mp.Process(target=tell, args=(there, counted))
    process.start()
    print(here.recv())
    process.join()
