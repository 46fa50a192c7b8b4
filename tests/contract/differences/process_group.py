"""The group and the session of processes."""

import multiprocessing as mp
import os
import sys


def tell(conn):
    conn.send((os.getpgrp(), os.getsid(0)))


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    here, there = mp.Pipe()
    process = mp.Process(target=tell, args=(there,))
    process.start()
    print(here.recv() == (os.getpgrp(), os.getsid(0)))
    process.join()
