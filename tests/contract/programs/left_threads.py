"""Daemon threads that wait when their process ends: nobody hears of them."""

import multiprocessing as mp
import sys
import threading
from multiprocessing import connection

OBJECTS = ("Queue", "SimpleQueue", "JoinableQueue", "Lock", "Semaphore", "Event", "Condition")


def forever(call, *args):
    while True:
        call(*args)


def within(lock, call):
    with lock:
        call()


def put_and_join(queue):
    queue.put(1)
    queue.join()


def leave_threads(made, pipes):
    made["Lock"].acquire()
    made["Semaphore"].acquire()
    waits = [
        (made["Queue"].get,),
        (made["Queue"].get, True, 100),
        (made["SimpleQueue"].get,),
        (put_and_join, made["JoinableQueue"]),
        (made["Lock"].acquire,),
        (made["Semaphore"].acquire, True, 100),
        (made["Event"].wait,),
        (within, made["Condition"], made["Condition"].wait),
        (pipes[0][0].recv,),
        (pipes[1][0].poll, None),
        (connection.wait, [pipes[2][0]]),
    ]
    for call, *args in waits:
        threading.Thread(target=forever, args=(call, *args), daemon=True).start()
    # They all wait by then, or are about to.
    made["Lock"].acquire(timeout=0.05)
    print("ends")


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    for _ in range(2):
        made = {name: getattr(mp, name)() for name in OBJECTS}
        pipes = [mp.Pipe() for _ in range(3)]
        process = mp.Process(target=leave_threads, args=(made, pipes))
        process.start()
        process.join()
        print(process.exitcode, flush=True)
    made = {name: getattr(mp, name)() for name in OBJECTS}
    # Shared, as those that a process waits for are.
    process = mp.Process(target=print, args=("shares", len(made), len(pipes)))
    process.start()
    process.join()
    process = mp.Process(target=leave_threads, args=(made, pipes))
    process.start()
    process.join()
    made["Lock"].release()
    made["Semaphore"].release()
    leave_threads(made, pipes)
