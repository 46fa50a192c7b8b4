"""Many processes that differ in nothing but their arguments: each begins as its parent was at start()."""

import io
import logging
import multiprocessing as mp
import os
import random
import signal
import sys
import threading
import weakref

from own import tally

MANY = 10


class Thing:
    def __init__(self, name):
        self.name = name


total = {"sum": 0}
thing = Thing("global")
watched = weakref.ref(thing)
local = threading.local()
local.value = "main's"
log = logging.getLogger("alike")


def work(number, conn):
    total["sum"] += number
    thing.name += f" {number}"
    tally.Counter()
    process = mp.current_process()
    same = os.getpid() == process.pid and os.getppid() == process._parent_pid
    who = (process.name == f"worker {number}", process.daemon, same, threading.current_thread().name)
    where = (os.path.basename(os.getcwd()), os.environ.get("ALIKE"), sys.argv[1:])
    conn.send((who, where, total, thing.name, watched() is thing, tally.note(number), tally.Counter.made))
    conn.send((random.random(), os.urandom(8)))
    conn.close()


def ask(number, **options):
    mine, theirs = mp.Pipe()
    process = mp.Process(target=work, args=(number, theirs), name=f"worker {number}", **options)
    process.start()
    theirs.close()
    told, drawn = mine.recv(), mine.recv()
    process.join()
    print(process.exitcode, told, flush=True)
    return drawn


def leave(number, how):
    print("leaves", number, end="")
    sys.stdout.flush()
    if how == "exit":
        sys.exit(number)
    if how == "signal":
        os.kill(os.getpid(), signal.SIGTERM)
    if how == "raise":
        # The traceback names places.
        sys.stderr = io.StringIO()
        raise ValueError(number)
    print(".", end="")


def endings():
    for number in range(MANY):
        how = ("exit", "signal", "raise", "return")[number % 4]
        process = mp.Process(target=leave, args=(number, how))
        process.start()
        process.join()
        print(f" by {how}:", process.exitcode, flush=True)


def meet(number, barrier, queue, lock, value):
    barrier.wait()
    with lock:
        value.value += number
    queue.put((number, total["sum"], os.getpid() == mp.current_process().pid))


def side_by_side():
    barrier, queue, lock, value = mp.Barrier(4), mp.SimpleQueue(), mp.Lock(), mp.Value("i", 0)
    for _ in range(3):
        crew = [mp.Process(target=meet, args=(number, barrier, queue, lock, value)) for number in range(4)]
        for process in crew:
            process.start()
        print(sorted(queue.get() for _ in crew))
        for process in crew:
            process.join()
        print([process.exitcode for process in crew], value.value, flush=True)


def deeper(number, conn):
    process = mp.Process(target=work, args=(number, conn), name=f"worker {number}")
    process.start()
    process.join()


def nested():
    for number in range(5):
        mine, theirs = mp.Pipe()
        process = mp.Process(target=deeper, args=(number, theirs))
        process.start()
        theirs.close()
        print(mine.recv()[2:])
        process.join()


def main():
    mp.set_start_method(sys.argv[1])
    drawn = [ask(number) for number in range(MANY)]
    # No two processes draw the same.
    print(len(set(drawn)))
    # What was changed since is what the next ones have; under spawn they run the module anew.
    tally.settings["step"] = 2
    total["sum"] = 1000
    os.environ["ALIKE"] = "yes"
    for number in range(MANY):
        ask(number, daemon=True)
    tally.seen.append("the parent's")
    for number in range(3):
        ask(number)
    endings()
    side_by_side()
    nested()


if __name__ == "__main__":
    main()
