"""A socket that a forked process inherits: a TypeError says what it was and why it is not there."""

import multiprocessing as mp
import socket
import sys


def tell(conn, inherited):
    said = "b'x'"
    try:
        said = str(inherited.recv(1))
    except TypeError as error:
        if "socket" in str(error) and "belongs to the machine" in str(error):
            said = type(error).__name__
    conn.send(said)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    mine, inherited = socket.socketpair()
    mine.send(b"x")
    here, there = mp.Pipe()
    process = mp.Process(target=tell, args=(there, inherited))
    process.start()
    print(here.recv())
    process.join()
