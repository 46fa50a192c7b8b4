"""What processes of a program that was started with -u have written when they are killed."""

import multiprocessing as mp
import os
import signal
import sys


def write_and_die():
    print("written by", os.path.basename(sys.argv[0]), end="")
    print(" and on stderr", end="", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGKILL)


def look():
    for stream in (sys.stdout, sys.stderr):
        print(type(stream.buffer).__name__, stream.write_through, stream.line_buffering)


def start_another():
    run(write_and_die)


def run(target):
    process = mp.get_context(sys.argv[1]).Process(target=target)
    process.start()
    process.join()
    print(" exit code", process.exitcode)


if __name__ == "__main__":
    look()
    run(look)
    run(write_and_die)
    run(start_another)
    # What a fresh interpreter finds.
    os.environ["PYTHONUNBUFFERED"] = "1"
    run(look)
    run(write_and_die)
