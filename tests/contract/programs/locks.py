"""Locks, semaphores, conditions and events between processes."""

import multiprocessing as mp
import sys


def hold(lock, conn):
    with lock:
        conn.send("held")
        conn.recv()


def try_lock(lock, conn):
    conn.send((lock.acquire(False), lock.acquire(timeout=0.05)))


def release(lock, conn):
    try:
        lock.release()
        conn.send("released")
    except (ValueError, AssertionError) as error:
        conn.send((type(error).__name__, str(error)))


def take_turns(lock, conn, count):
    # Whoever is in the critical section is there alone, or numbers come twice.
    for _ in range(count):
        with lock:
            number = conn.recv()
            conn.send(number + 1)


def wait_for(event, conn):
    conn.send((event.is_set(), event.wait(0.05)))
    conn.send(event.wait(30))


def wait_condition(condition, conn):
    with condition:
        conn.send("waiting")
        conn.send(condition.wait(30))


def wait_predicate(condition, event, conn):
    with condition:
        conn.send("waiting")
        conn.send(condition.wait_for(event.is_set, 30))


def start(target, *args):
    process = mp.Process(target=target, args=args)
    process.start()
    return process


def joined(process):
    process.join()
    return process.exitcode


def locks():
    for kind in (mp.Lock, mp.RLock):
        lock, (here, there) = kind(), mp.Pipe()
        holder = start(hold, lock, there)
        print(kind.__name__, here.recv(), lock.acquire(False), lock.acquire(timeout=0.05))
        here.send("let go")
        print(lock.acquire(timeout=30), joined(holder))
        print(joined(start(try_lock, lock, there)), here.recv())
        print(joined(start(release, lock, there)), here.recv())
        # A plain lock was released by the process, a recursive one was not.
        print(lock.acquire(False))
        lock.release()
    lock = mp.RLock()
    with lock, lock:
        print(lock.acquire(), joined(start(try_lock, lock, there)), here.recv())
        lock.release()


def semaphores():
    here, there = mp.Pipe()
    semaphore = mp.Semaphore(2)
    pairs = [mp.Pipe() for _ in range(2)]
    holders = [start(hold, semaphore, theirs) for _, theirs in pairs]
    print([ours.recv() for ours, _ in pairs], semaphore.acquire(False))
    for ours, _ in pairs:
        ours.send("let go")
    print([joined(holder) for holder in holders], semaphore.get_value())
    print(joined(start(release, semaphore, there)), here.recv(), semaphore.get_value())
    bounded = mp.BoundedSemaphore(1)
    print(joined(start(release, bounded, there)), here.recv(), bounded.get_value())


def exclusion():
    lock = mp.Lock()
    ours, theirs = mp.Pipe()
    ours.send(0)
    processes = [start(take_turns, lock, theirs, 25) for _ in range(3)]
    for _ in range(74):
        ours.send(ours.recv())
    print([joined(process) for process in processes], ours.recv())


def events():
    event, (here, there) = mp.Event(), mp.Pipe()
    waiter = start(wait_for, event, there)
    print(here.recv())
    event.set()
    print(here.recv(), joined(waiter), event.is_set())
    event.clear()
    print(event.is_set(), event.wait(0.01))


def conditions():
    here, there = mp.Pipe()
    condition = mp.Condition()
    waiters = [start(wait_condition, condition, there) for _ in range(3)]
    print([here.recv() for _ in waiters])
    with condition:
        condition.notify()
    print(here.recv(), here.poll(0.05))
    with condition:
        condition.notify_all()
    print(here.recv(), here.recv(), [joined(waiter) for waiter in waiters])
    event = mp.Event()
    waiter = start(wait_predicate, condition, event, there)
    print(here.recv())
    with condition:
        condition.notify_all()
    event.set()
    with condition:
        condition.notify_all()
    print(here.recv(), joined(waiter))
    try:
        condition.notify()
    except AssertionError:
        print("a condition is notified by who holds its lock")


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    locks()
    semaphores()
    exclusion()
    events()
    conditions()
