"""Daemonic processes: killed at the end, without children of their own."""

import atexit
import multiprocessing as mp
import os
import sys
from concurrent.futures import ProcessPoolExecutor

KEPT = []


def be_daemon(conn, name):
    conn.send((mp.current_process().daemon, mp.parent_process().daemon))
    for attempt in (
        lambda: mp.Process(target=print).start(),
        lambda: mp.Pool(1),
        lambda: ProcessPoolExecutor(1).submit(print),
        mp.Manager,
    ):
        try:
            attempt()
        except AssertionError as error:
            conn.send(str(error))
    conn.recv()
    print(name, "was told")


def wait_for_ever(conn):
    atexit.register(print, "never: killed")
    conn.send("up")
    try:
        conn.recv()
    finally:
        print("never: killed, and nothing is unwound")


def start_daemon(conn):
    """Its daemon ends with it."""
    here, there = mp.Pipe()
    daemon = mp.Process(target=outlive, args=(there, conn), daemon=True)
    daemon.start()
    here.recv()
    # Else the daemon would read its end before it is killed.
    KEPT.append(here)
    conn.send(daemon.pid == mp.active_children()[0].pid)


def outlive(conn, held):
    conn.send("up")
    conn.recv()
    held.send("never")


def inherit(conn):
    child = mp.Process(target=print)
    conn.send(child.daemon)


def start(target, *args, **kwargs):
    process = mp.Process(target=target, args=args, **kwargs)
    process.start()
    return process


def ordinary(conn):
    conn.send("an ordinary one is waited for")
    conn.recv()
    print("at the end of an ordinary process")


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    here, there = mp.Pipe()
    daemon = start(be_daemon, there, "daemon", daemon=True)
    for _ in range(5):
        print(here.recv())
    here.send("go")
    daemon.join()
    print(daemon.daemon, daemon.exitcode)
    start(inherit, there).join()
    print(here.recv())
    here, there = mp.Pipe()
    parent = start(start_daemon, there)
    there.close()
    print(here.recv())
    parent.join()
    try:
        print(here.recv())
    except EOFError:
        print("its daemon is gone", parent.exitcode)
    # Daemons that are still there at the end are killed; ordinary processes are joined.
    pairs = [mp.Pipe() for _ in range(2)]
    left = [start(wait_for_ever, theirs, daemon=True) for _, theirs in pairs]
    print([ours.recv() for ours, _ in pairs], os.getpid() == left[0]._parent_pid)
    here, there = mp.Pipe()
    start(ordinary, there)
    print(here.recv())
    atexit.register(lambda: print("at exit:", [process.is_alive() for process in left]))
    print("the end of the main program", flush=True)
    here.send("go")
