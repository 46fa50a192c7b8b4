"""Signals by process id: from the parent, between siblings, to the parent; terminate and kill."""

import faulthandler
import multiprocessing as mp
import os
import signal
import sys
import time
from multiprocessing import connection


def handle(conn, numbers):
    got = []
    for number in numbers:
        signal.signal(number, lambda number, _frame: got.append(signal.Signals(number).name))
    conn.send("ready")
    while len(got) < len(numbers):
        signal.pause()
    conn.send(sorted(got))


def interrupted(conn):
    """A handler runs in the middle of a wait, which then goes on."""
    signal.signal(signal.SIGUSR1, lambda *_: conn.send("handled"))
    conn.send("ready")
    conn.send(("received", conn.recv()))


def interrupted_in(waited, name, args, conn):
    """A wait is left by an exception that a handler raises."""

    def leave(*_):
        raise TimeoutError("from the handler")

    signal.signal(signal.SIGUSR1, leave)
    try:
        conn.send("ready")
        getattr(waited, name)(*args)
    except TimeoutError as error:
        conn.send(str(error))


def signal_sibling(conn, number):
    pid = conn.recv()
    os.kill(pid, number)
    try:
        os.kill(pid, 0)
        conn.send("signalled")
    except OSError as error:
        conn.send(type(error).__name__)


def signal_parent(number):
    os.kill(os.getppid(), number)


def wait(conn, ignored=()):
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    conn.send("ready")
    conn.recv()


def dispositions(conn):
    conn.send([str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)])


def abort():
    faulthandler.disable()
    os.abort()


def alarm(conn):
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    conn.recv()


def start(target, *args):
    here, there = mp.Pipe()
    process = mp.Process(target=target, args=(there, *args))
    process.start()
    return process, here


def by_pid():
    numbers = [signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2]
    process, here = start(handle, numbers)
    print(here.recv())
    for number in numbers:
        os.kill(process.pid, number)
    print(here.recv(), process.join(), process.exitcode)
    process, here = start(interrupted)
    print(here.recv())
    os.kill(process.pid, signal.SIGUSR1)
    print(here.recv())
    here.send("after the signal")
    print(here.recv(), process.join(), process.exitcode)


def within_waits():
    queue, lock, event, condition = mp.Queue(), mp.Lock(), mp.Event(), mp.Condition()
    lock.acquire()
    condition.acquire()
    never = mp.Pipe()
    waits = {
        "get": queue,
        "acquire": lock,
        "wait": event,
        "__enter__": condition,
        "recv": never[0],
        "poll": never[0],
    }
    for name, waited in waits.items():
        args = (None,) if name == "poll" else ()
        here, there = mp.Pipe()
        process = mp.Process(target=interrupted_in, args=(waited, name, args, there))
        process.start()
        here.recv()
        # Whether it is in the wait already or not yet, it is left.
        os.kill(process.pid, signal.SIGUSR1)
        there.close()
        try:
            print(name, here.recv(), process.join(), process.exitcode)
        except EOFError:
            print(name, "nothing", process.join(), process.exitcode)
    lock.release()
    print(lock.acquire(timeout=1), queue.empty())


def between():
    process, here = start(wait)
    sibling, there = start(signal_sibling, signal.SIGTERM)
    here.recv()
    there.send(process.pid)
    process.join()
    sibling.join()
    print(process.exitcode, sibling.exitcode)
    got = []
    signal.signal(signal.SIGUSR2, lambda number, _frame: got.append(number))
    process = mp.Process(target=signal_parent, args=(signal.SIGUSR2,))
    process.start()
    process.join()
    print(got, process.exitcode)
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)


def ends():
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGALRM, signal.SIGINT, signal.SIGQUIT):
        process, here = start(wait, [signal.SIGINT] if number == signal.SIGINT else [])
        here.recv()
        os.kill(process.pid, number)
        if number == signal.SIGINT:
            # It is deaf to that one.
            here.send("go")
        process.join()
        print(number.name, process.exitcode)
    process, here = start(wait, [signal.SIGTERM])
    here.recv()
    process.terminate()
    print(process.join(0.05), process.is_alive(), process.exitcode)
    process.kill()
    connection.wait([process.sentinel])
    print(process.join(), process.exitcode)
    process, here = start(alarm)
    process.join()
    print(process.exitcode)
    process = mp.Process(target=abort)
    process.start()
    process.join()
    print(process.exitcode)
    try:
        os.kill(process.pid, signal.SIGTERM)
    except OSError as error:
        print(type(error).__name__, error.errno)
    process.terminate()
    for number in (0, signal.SIGTERM):
        process, here = start(wait)
        here.recv()
        os.kill(process.pid, number)
        if not number:
            here.send("go")
        process.join()
        print(process.exitcode)


def inherited():
    process, here = start(dispositions)
    print([text.partition(" at ")[0] for text in here.recv()])
    process.join()


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    started = time.monotonic()
    by_pid()
    within_waits()
    between()
    ends()
    inherited()
    assert time.monotonic() - started < 30
