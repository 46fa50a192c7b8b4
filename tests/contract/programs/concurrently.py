"""Threads that start processes at the same time, os.fork by the program, and what stays in one process."""

import multiprocessing as mp
import multiprocessing.dummy
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool


def square(number, conn=None):
    if conn is not None:
        conn.send(number * number)
    return number * number


def deposit(queue, lock, value, number):
    for _ in range(5):
        with lock:
            value.value += number
    queue.put(number)


def threads():
    """Each thread starts processes, talks to them and joins them."""
    results = {}
    begin = threading.Barrier(4)

    def work(number):
        begin.wait()
        here, there = mp.Pipe()
        process = mp.Process(target=square, args=(number, there), name=f"of thread {number}")
        process.start()
        results[number] = here.recv(), process.join(), process.exitcode

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(sorted(results.items()))
    queue, lock, value = mp.Queue(), mp.Lock(), mp.Value("i", 0)

    def share(number):
        process = mp.Process(target=deposit, args=(queue, lock, value, number))
        process.start()
        process.join()

    with ThreadPoolExecutor(4) as executor:
        list(executor.map(share, range(1, 5)))
    print(sorted(queue.get() for _ in range(4)), value.value, mp.active_children())
    with mp.Pool(2) as pool, ThreadPoolExecutor(4) as executor:
        print(list(executor.map(lambda number: pool.apply(square, (number,)), range(6))))


def one_process():
    """multiprocessing.dummy and ThreadPool are threads, as ever."""
    dummy = multiprocessing.dummy
    seen = []
    process = dummy.Process(
        target=lambda: seen.append((os.getpid(), threading.current_thread().name)), name="t"
    )
    process.start()
    process.join()
    print(
        seen == [(os.getpid(), "t")], type(process).__name__, process.exitcode, dummy.current_process().name
    )
    queue, (here, there) = dummy.Queue(), dummy.Pipe()
    here.send(lambda: "not pickled")
    print(there.recv()(), type(queue).__module__, dummy.Manager().__name__, dummy.Value("i", 5))
    with dummy.Pool(2) as pool:
        print(pool.map(lambda number: number + 1, range(3)), type(pool).__name__)
    with ThreadPool(2, initializer=seen.append, initargs=("initialised",)) as pool:
        print(pool.map(lambda number: (number, os.getpid() == seen[0][0]), range(2)), seen[1:])
        try:
            pool.apply(square, ("x",))
        except TypeError as error:
            print(error, error.__cause__)


def forked():
    """The program forks by itself, with what it has shared."""
    queue, (here, there), lock, value = mp.Queue(), mp.Pipe(), mp.Lock(), mp.Value("i", 5)
    event = mp.Event()
    process = mp.Process(target=deposit, args=(queue, lock, value, 1))
    process.start()
    process.join()
    print(queue.get(), value.value)
    sys.stdout.flush()
    event.set()
    pid = os.fork()
    if pid == 0:
        code = 3
        try:
            with lock:
                value.value += 100
            queue.put("from a forked child")
            there.send(("through a pipe", event.is_set(), mp.current_process().name))
            # It may start processes of its own.
            process = mp.Process(target=deposit, args=(queue, lock, value, 2))
            process.start()
            process.join()
            queue.close()
            queue.join_thread()
            code = process.exitcode
        finally:
            os._exit(code)
    print(here.recv(), sorted((queue.get(), queue.get()), key=str))
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), value.value, lock.acquire(timeout=1))


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    one_process()
    threads()
    forked()
