"""What a process kept open to its end is free once that end is seen."""

import fcntl
import multiprocessing as mp
import os
import socket
import sys

KEPT = []
LOCK = "freed.lock"


def keep(name):
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("\0" + name)
    listening.listen()
    locked = open(LOCK, "a")  # noqa: SIM115  kept open
    fcntl.flock(locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
    locked.write(f"{len(KEPT)}\n")
    locked.flush()
    KEPT.extend((listening, locked))


def leave_with(status, name):
    keep(name)
    sys.exit(status)


def see(name):
    """What a process finds where another has been."""
    try:
        keep(name)
    except OSError as error:
        print("still taken:", error, flush=True)


def main():
    name = f"freed-{os.getpid()}"
    for process in [
        *[mp.Process(target=keep, args=(name,)) for _ in range(6)],
        mp.Process(target=leave_with, args=(0, name)),
        mp.Process(target=leave_with, args=(3, name)),
        mp.Process(target=see, args=(name,)),
    ]:
        process.start()
        process.join()
        print(process.exitcode, flush=True)
    with open(LOCK) as locked:
        fcntl.flock(locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print(locked.read())
    os.unlink(LOCK)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    main()
