"""The number of a descriptor that a forked process inherits: EBADF says that it is not open there."""

import errno
import multiprocessing as mp
import os
import sys


def tell(conn, number):
    said = "x"
    try:
        os.read(number, 1)
    except OSError as error:
        if error.errno == errno.EBADF:
            said = "EBADF"
    conn.send(said)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    reading, writing = os.pipe()
    # Beyond the numbers that anything opens by itself.
    number = os.dup2(reading, 700)
    os.write(writing, b"x")
    here, there = mp.Pipe()
    process = mp.Process(target=tell, args=(there, number))
    process.start()
    print(here.recv())
    process.join()
