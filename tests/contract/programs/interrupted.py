"""Ctrl-C: what the main program waits for is left, and what it has can be used again or ended."""

import multiprocessing as mp
import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor


def ignore(conn, ready=None):
    """The well-known initialiser: the main program decides what Ctrl-C means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    STATE["conn"] = conn
    if ready is not None:
        ready.wait(30)


STATE = {}
EAR = {}


def hang(number):
    STATE["conn"].send(number)
    threading.Event().wait()


def square(number):
    return number * number


def wait_for(event):
    STATE["conn"].send("runs")
    return event.wait(30)


def be_interrupted(conn):
    try:
        conn.send("up")
        conn.recv()
    except KeyboardInterrupt:
        print("process: KeyboardInterrupt", flush=True)
        sys.exit(5)


def be_deaf(conn):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    conn.send("up")
    conn.recv()


def send_later(conn, gate):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    conn.send("up")
    gate.recv()
    conn.send("later")


def listen(conn):
    """Tells of each interrupt that it gets."""
    signal.signal(signal.SIGINT, lambda *_: conn.send("heard"))
    conn.send("up")
    conn.recv()


def interrupt():
    """As a terminal's Ctrl-C: every process of the group gets it."""
    os.killpg(os.getpgrp(), signal.SIGINT)


def interrupted(conn, words, call, *args):
    """Interrupts a call when so many words have been heard from processes."""

    def wait():
        for _ in range(words):
            conn.recv()
        interrupt()

    thread = threading.Thread(target=wait)
    try:
        thread.start()
        print("not interrupted", call(*args))
    except KeyboardInterrupt:
        print("KeyboardInterrupt", call.__name__)
    thread.join()
    # What begins from here on is not met by it any more.
    EAR["conn"].recv()


def pools():
    here, there = mp.Pipe()
    with mp.Pool(2, ignore, (there,)) as pool:
        interrupted(here, 2, pool.map, hang, range(4), 1)
        processes = list(pool._pool)
    print([process.exitcode for process in processes])
    # All its processes are deaf by the time the first task runs.
    with mp.Pool(2, ignore, (there, mp.Barrier(2))) as pool:
        # A pool that was interrupted while it was waited for goes on.
        never = pool.apply_async(hang, (1,))
        interrupted(here, 1, never.get)
        print(pool.map(square, range(3)), never.ready())


def executors():
    here, there = mp.Pipe()
    with mp.Manager() as manager:
        event = manager.Event()
        with ProcessPoolExecutor(1, mp.get_context(), ignore, (there,)) as executor:
            future = executor.submit(wait_for, event)
            interrupted(here, 1, future.result)
            event.set()
            print(future.result(30), executor.submit(square, 5).result(30))


def processes():
    here, there = mp.Pipe()
    process = mp.Process(target=be_interrupted, args=(there,))
    process.start()
    interrupted(here, 1, threading.Event().wait)
    process.join()
    print(process.exitcode)
    process = mp.Process(target=be_deaf, args=(there,))
    process.start()
    interrupted(here, 1, process.join)
    print(process.exitcode, process.is_alive())
    here.send("go")
    process.join()
    print(process.exitcode)


def waits():
    """Nothing is lost that comes after the interrupted wait."""
    lock, queue, (gate, theirs) = mp.Lock(), mp.Queue(), mp.Pipe()
    here, there = mp.Pipe()
    process = mp.Process(target=send_later, args=(there, theirs))
    process.start()
    print(here.recv())
    lock.acquire()
    waiter = mp.Process(target=be_deaf, args=(there,))
    waiter.start()
    print(here.recv())
    for call in (here.recv, queue.get, lock.acquire):
        # By a time-out: whether the wait has begun by then or not, it is left.
        try:
            threading.Timer(0.05, interrupt).start()
            print(call())
        except KeyboardInterrupt:
            print("KeyboardInterrupt", call.__name__)
        EAR["conn"].recv()
    gate.send("go")
    print(here.recv(), lock.release(), lock.acquire(timeout=1))
    queue.put("after")
    print(queue.get())
    here.send("go")
    for one in (process, waiter):
        one.join()
        print(one.exitcode)


if __name__ == "__main__":
    # The group is this program's own.
    if os.getpgrp() != os.getpid():
        os.setpgrp()
    mp.set_start_method(sys.argv[1])
    EAR["conn"], there = mp.Pipe()
    ear = mp.Process(target=listen, args=(there,))
    ear.start()
    print(EAR["conn"].recv())
    pools()
    # A manager's server is deaf to Ctrl-C, as ever.
    executors()
    processes()
    waits()
    EAR["conn"].send("enough")
    ear.join()
    print(ear.exitcode)
