"""What a process does at its end: exit handlers, finalisers, and what it has started itself."""

import atexit
import logging
import multiprocessing as mp
import sys
import time
import weakref
from logging.handlers import MemoryHandler
from multiprocessing.util import Finalize


class Thing:
    pass


def say(*words):
    print(*words, flush=True)


def registers():
    thing = Thing()
    atexit.register(say, "exit handler of", mp.current_process().name)
    weakref.finalize(thing, say, "finaliser of an object")
    Finalize(thing, say, ("finaliser of multiprocessing",), exitpriority=10)
    Finalize(thing, say, ("only when it is collected",))
    keep.append(thing)


def logs():
    keep.append(MemoryHandler(10, target=logging.StreamHandler(sys.stdout)))
    keep[-1].emit(logging.makeLogRecord({"msg": "kept until the end", "levelno": logging.INFO}))


def is_slow(conn):
    conn.recv()
    say("the grandchild ends")


def starts_another():
    here, there = mp.Pipe()
    mp.Process(target=is_slow, args=(there,)).start()
    # At its end it waits for the grandchild, which waits for this.
    Finalize(None, here.send, ("go on",), exitpriority=1)


def leaves_a_daemon(conn):
    mp.Process(target=time.sleep, args=(300,), daemon=True).start()
    conn.send("started")


def ended(target, *args):
    process = mp.Process(target=target, args=args, name=target.__name__)
    process.start()
    process.join()
    say(process.name, "has ended with", process.exitcode)


keep = []

if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    for target in (registers, logs, starts_another):
        ended(target)
    here, there = mp.Pipe()
    ended(leaves_a_daemon, there)
    say(here.recv())
