"""What runs at a process's end: atexit, Finalize."""

import atexit
import multiprocessing as mp
import os
import sys
import threading
import weakref
from multiprocessing import util


def say(*words):
    print(*words, flush=True)


kept = []


class Thing:
    def __init__(self, name):
        self.name = name


def register(conn, how):
    atexit.register(say, how, "atexit in the process")
    thing, other = Thing(how), Thing(how)
    kept.append(other)
    util.Finalize(thing, say, (how, "finalised when collected"), exitpriority=5)
    util.Finalize(None, say, (how, "finaliser 10"), exitpriority=10)
    util.Finalize(None, say, (how, "finaliser 20"), exitpriority=20)
    util.Finalize(other, say, (how, "never: only when collected or called"))
    weakref.finalize(register, say, how, "weakref.finalize at exit")
    cancelled = util.Finalize(None, say, (how, "never"), exitpriority=1)
    cancelled.cancel()
    called = util.Finalize(None, say, (how, "called once"), exitpriority=1)
    called()
    say(how, called(), called.still_active(), cancelled.still_active())
    conn.send("registered")
    if how == "exits":
        sys.exit(4)
    if how == "fails":
        raise LookupError("an error before the end")
    if how == "drops":
        os._exit(5)
    if how == "terminated":
        conn.recv()
    if how == "threads":
        # A thread that is no daemon is waited for.
        gate = threading.Event()
        threading.Thread(target=lambda: gate.wait(30) and say(how, "a thread that is waited for")).start()
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        util.Finalize(None, gate.set, exitpriority=1)


def start(target, *args):
    process = mp.Process(target=target, args=args)
    process.start()
    return process


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    for how in ("returns", "exits", "fails", "drops", "terminated", "threads"):
        here, there = mp.Pipe()
        process = start(register, there, how)
        here.recv()
        if how == "terminated":
            process.terminate()
        process.join()
        print(how, process.exitcode, flush=True)
    atexit.register(say, "atexit of the main program")
    util.Finalize(None, say, ("a finaliser of the main program",), exitpriority=10)
    print("the end of the main program", flush=True)
