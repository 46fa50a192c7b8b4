"""Queues at their edges: bounds, time-outs, closing, feeder threads, what cannot be pickled."""

import multiprocessing as mp
import os
import sys
import threading
import time


def error_of(call, *args, **kwargs):
    try:
        return call(*args, **kwargs)
    except Exception as error:
        return type(error).__name__


def use(queue, conn):
    """The same questions in a process."""
    conn.send(states(queue))
    conn.send(ask(queue))
    conn.send(states(queue))


def states(queue):
    return queue.empty(), queue.full(), queue.qsize()


def ask(queue):
    return [
        error_of(queue.put, 1, False),
        error_of(queue.put, 2, True, 0.01),
        error_of(queue.put_nowait, 3),
        error_of(queue.put, 4, timeout=0),
        error_of(queue.get, True, 30),
        error_of(queue.get, timeout=0.01),
        error_of(queue.get_nowait),
    ]


def put_and_leave(queue, how, count):
    for number in range(count):
        queue.put((how, number))
    if how == "close":
        queue.close()
        queue.join_thread()
    if how == "cancel":
        queue.cancel_join_thread()


def join_tasks(queue, conn):
    conn.send("joins")
    queue.join()
    conn.send("joined")


def finish(queue, count):
    for _ in range(count):
        queue.get()
        queue.task_done()
    return


def take_all(simple, conn):
    while (item := simple.get()) is not None:
        conn.send(item)
    conn.send(simple.empty())


def start(target, *args):
    process = mp.Process(target=target, args=args)
    process.start()
    return process


def bounds():
    here, there = mp.Pipe()
    queue = mp.Queue(2)
    print(states(queue), queue._maxsize)
    process = start(use, queue, there)
    print(here.recv(), here.recv(), here.recv())
    process.join()
    # Now that it is shared, the same here.
    print(ask(queue), states(queue))
    started = time.monotonic()
    print(error_of(queue.get, timeout=0.2), 0.19 <= time.monotonic() - started < 5)
    queue.put("a")
    queue.put("b")
    started = time.monotonic()
    print(error_of(queue.put, "c", timeout=0.2), 0.19 <= time.monotonic() - started < 5, queue.full())
    taken = threading.Timer(0.05, queue.get)
    taken.start()
    queue.put("c")
    taken.join()
    print(queue.get(), queue.get(timeout=30), queue.full())
    with_zero = mp.Queue(0)
    print(with_zero.full(), with_zero._maxsize > 2**20)


def closing():
    for how in ("close", "just leave"):
        queue = mp.Queue()
        process = start(put_and_leave, queue, how, 100)
        # What was put is there, whatever its process does before it ends.
        print(how, [queue.get() for _ in range(100)] == [(how, number) for number in range(100)])
        process.join()
        print(queue.empty(), process.exitcode)
    queue = mp.Queue()
    process = start(put_and_leave, queue, "cancel", 1)
    process.join()
    print("cancel", process.exitcode)
    print(error_of(queue.join_thread))
    queue.close()
    queue.close()
    queue.join_thread()
    queue.cancel_join_thread()
    print([error_of(call) for call in (queue.get, queue.get_nowait, lambda: queue.put(1))])
    unused = mp.Queue()
    unused.close()
    unused.join_thread()
    simple = mp.SimpleQueue()
    simple.put(1)
    simple.close()
    print(error_of(simple.get), error_of(simple.put, 2))


def feeder():
    """What cannot be pickled is reported by the feeder thread, and the queue goes on."""
    # The report is a traceback, which names lines of the library.
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    queue = mp.Queue(3)
    for item in ("first", lambda: None, "last"):
        queue.put(item)
    print(queue.get(timeout=30), queue.get(timeout=30), error_of(queue.get, timeout=0.05))
    simple = mp.SimpleQueue()
    print(error_of(simple.put, lambda: None), simple.empty())


def tasks():
    queue, (here, there) = mp.JoinableQueue(), mp.Pipe()
    for number in range(4):
        queue.put(number)
    joiner = start(join_tasks, queue, there)
    print(here.recv(), here.poll(0.05))
    finisher = start(finish, queue, 3)
    finisher.join()
    print(here.poll(0.05))
    finish(queue, 1)
    print(here.recv(), error_of(queue.task_done), queue.join())
    joiner.join()
    bounded = mp.JoinableQueue(1)
    bounded.put(1)
    print(error_of(bounded.put, 2, timeout=0.01), finish(bounded, 1), bounded.join())


def simple():
    simple, (here, there) = mp.SimpleQueue(), mp.Pipe()
    for item in ("before", [1, 2], None):
        simple.put(item)
    process = start(take_all, simple, there)
    print(here.recv(), here.recv(), here.recv(), simple.empty())
    process.join()


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    bounds()
    closing()
    tasks()
    simple()
    feeder()
