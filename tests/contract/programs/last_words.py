"""What processes say on stdout and stderr as they end, and in which order it is seen."""

import io
import multiprocessing as mp
import os
import sys
import threading
import warnings

from own import loud


def leave(*status):
    print("leaves with", *status)
    sys.exit(*status)


def fail():
    raise ValueError("of one line\nand another")


def fail_deeply(depth):
    if depth:
        fail_deeply(depth - 1)
    try:
        fail()
    except ValueError as error:
        raise RuntimeError("chained") from error


class Silent(Exception):
    def __str__(self):
        raise TypeError("cannot be shown")


def fail_silently():
    raise Silent


def interrupt():
    raise KeyboardInterrupt


def give_up():
    raise SystemExit(["not", "a", "number"])


class Named(mp.Process):
    def run(self):
        raise LookupError(self.name)


def thread_fails():
    threading.excepthook = lambda args: print("in a thread:", args.exc_value, file=sys.stderr)
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()


def warn():
    loud.warn()
    warnings.warn("said once", UserWarning, stacklevel=1)
    warnings.warn("said once", UserWarning, stacklevel=1)


def write_in_turn(gate):
    """Both streams, buffered and not, in the order of flushes."""
    sys.stdout.write("one, ")
    sys.stderr.write("err one\n")
    os.write(1, b"two before one is flushed, ")
    sys.stdout.flush()
    print("three", end="; ", flush=True)
    sys.stdout.writelines(["four\n", "five\n"])
    gate.send("written")
    gate.recv()


def close_stdout():
    print("before it is closed")
    sys.stdout.close()


def replace_stdout():
    sys.stdout = io.StringIO()
    print("nobody sees this")
    sys.stdout = sys.__stdout__
    print("back again")


def run(target, *args, kind=mp.Process, **kwargs):
    process = kind(target=target, args=args, **kwargs)
    process.start()
    process.join()
    print("exit code", process.exitcode, flush=True)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    for status in ((), (0,), (None,), (7,), ("a message",), ("",), (b"bytes",), (2.5,), ((1, 2),)):
        run(leave, *status)
    run(fail)
    run(fail_deeply, 1, name="deep")
    run(fail_silently)
    run(interrupt)
    run(give_up)
    run(None, kind=Named, name="named")
    run(thread_fails)
    run(warn)
    here, there = mp.Pipe()
    process = mp.Process(target=write_in_turn, args=(there,))
    process.start()
    here.recv()
    here.send("go")
    process.join()
    run(close_stdout)
    run(replace_stdout)
    with mp.Pool(1) as pool:
        pool.apply(print, ("printed by a pool",))
        pool.close()
        pool.join()
    print("the end of the main program")
