"""Processes that are killed while they hold something, or others wait for them."""

import multiprocessing as mp
import queue
import sys


def hold(lock, conn):
    lock.acquire()
    conn.send("holds it")
    conn.recv()


def keep(ends, conn):
    conn.send("has them")
    conn.recv()


def put(items, conn):
    for number in range(5):
        items.put(number)
    items.close()
    items.join_thread()
    conn.send("has put them")
    conn.recv()


def started(target, *args):
    here, there = mp.Pipe()
    process = mp.Process(target=target, args=(*args, there))
    process.start()
    there.close()
    return process, here


def killed(target, *args):
    """One that did what it was to do, and then was killed."""
    process, here = started(target, *args)
    print(target.__name__, here.recv())
    process.kill()
    process.join()
    print(process.exitcode)
    return here


def locks():
    for kind in (mp.Lock, mp.RLock, mp.Semaphore):
        lock = kind()
        killed(hold, lock)
        # Held by the dead, as by the living.
        print(kind.__name__, lock.acquire(False), lock.acquire(timeout=0.05))
    lock = mp.Lock()
    killed(hold, lock)
    lock.release()
    print("released by another", lock.acquire(timeout=30))
    two = mp.Semaphore(2)
    killed(hold, two)
    print("one is left", two.acquire(timeout=30), two.acquire(timeout=0.05))


def ends():
    here, there = mp.Pipe()
    back = killed(keep, there)
    there.close()
    for end in (here, back):
        try:
            print(end.recv())
        except EOFError as error:
            print(type(error).__name__)
    try:
        # The first may still be taken for a pipe that somebody reads.
        for _ in range(1000):
            here.send_bytes(b"x" * 1000)
    except OSError as error:
        print(type(error).__name__)


def queues():
    items = mp.Queue()
    killed(put, items)
    print([items.get(timeout=30) for _ in range(5)])
    try:
        items.get(timeout=0.05)
    except queue.Empty:
        print("empty")


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    for case in (locks, ends, queues):
        case()
