"""Processes and pools within processes of every kind."""

import multiprocessing as mp
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import Pool, ThreadPool


def square(number):
    return number * number


def own_name(_):
    return mp.current_process().name


def pool_in_process(conn):
    with mp.Pool(2) as pool:
        conn.send(pool.map(square, range(5)))
        conn.send(sorted(pool.imap_unordered(square, range(5))))
        conn.send(pool.apply(own_name, (0,)).rpartition("-")[0])


def executor_in_process(conn):
    with ProcessPoolExecutor(2, mp_context=mp.get_context()) as executor:
        conn.send(list(executor.map(square, range(5))))
        conn.send(executor.submit(executor_in_task, 3).result(30))


def executor_in_task(number):
    # An executor's processes are not daemonic, so they may have children.
    with ProcessPoolExecutor(1, mp_context=mp.get_context()) as executor:
        return sum(executor.map(square, range(number))), mp.current_process().daemon


def pool_in_task(number):
    with mp.Pool(1) as pool:
        return pool.map(square, range(number))


def process_in_task(number):
    queue = mp.SimpleQueue()
    process = mp.Process(target=put_square, args=(queue, number))
    process.start()
    process.join()
    return queue.get(), process.exitcode


def put_square(queue, number):
    queue.put(number * number)


def daemonic(number):
    try:
        return pool_in_task(number)
    except AssertionError as error:
        return str(error)


def manager_in_process(conn):
    with mp.Manager() as manager:
        shared = manager.dict()
        process = mp.Process(target=shared.update, args=({"from": "a grandchild"},))
        process.start()
        process.join()
        conn.send(dict(shared))


def threads_in_process(conn):
    with ThreadPool(3) as pool:
        conn.send(pool.map(process_in_task, range(3)))
    with ThreadPoolExecutor(2) as executor:
        conn.send(list(executor.map(square, range(3))))


def lend(conn, queue):
    """A grandchild uses what its grandparent made."""
    process = mp.Process(target=put_square, args=(queue, 7))
    process.start()
    process.join()
    conn.send(process.exitcode)


def deep(conn, depth):
    if depth:
        process = mp.Process(target=deep, args=(conn, depth - 1))
        process.start()
        process.join()
    conn.send((depth, mp.current_process().name.count(":"), mp.parent_process().name.count(":")))


class NoDaemonProcess(mp.get_context("fork").Process):
    """The well-known way to let a pool's workers have children."""

    @property
    def daemon(self):
        return False

    @daemon.setter
    def daemon(self, value):
        pass


class NoDaemonContext(type(mp.get_context("fork"))):
    Process = NoDaemonProcess


def run(target, *args):
    here, there = mp.Pipe()
    process = mp.Process(target=target, args=(there, *args))
    process.start()
    there.close()
    while True:
        try:
            print(target.__name__, here.recv())
        except EOFError:
            break
    process.join()


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    for target in (pool_in_process, executor_in_process, manager_in_process, threads_in_process):
        run(target)
    run(deep, 3)
    queue = mp.Queue()
    run(lend, queue)
    print(queue.get())
    with mp.Pool(1) as pool:
        print(pool.map(daemonic, [2]))
    if sys.argv[1] == "fork":
        with Pool(2, context=NoDaemonContext()) as pool:
            print(pool.map(pool_in_task, range(3)))
    with ProcessPoolExecutor(2, mp_context=mp.get_context()) as executor:
        print(list(executor.map(pool_in_task, range(3))), list(executor.map(process_in_task, range(3))))
