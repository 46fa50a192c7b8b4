"""A pool's life: its processes' beginnings and ends, and what close, terminate and join do."""

import multiprocessing as mp
import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import pool as pools

STATE = {}


def own_pid(_=None):
    return os.getpid()


def square(number):
    return number * number


def remember(name, conn):
    STATE["name"] = name
    conn.send(os.getpid())


def recall(_):
    return STATE["name"]


def fail_first(conn, lock, failures):
    """An initialiser that fails some times: a pool tries again with another process."""
    with lock:
        conn.send("tries")
        failures.value -= 1
        if failures.value >= 0:
            raise RuntimeError("not yet")


def fail_to_begin():
    raise RuntimeError("never")


def hang(conn):
    conn.send(os.getpid())
    threading.Event().wait()


def error_of(call, *args):
    try:
        return call(*args)
    except Exception as error:
        return f"{type(error).__name__}: {error}".partition(" <")[0]


def lifetimes():
    with mp.Pool(2, maxtasksperchild=3) as pool:
        pids = [result.get(30) for result in [pool.apply_async(own_pid) for _ in range(12)]]
    # Not while the pool's thread may fork: a child of plain Python's would print the line once more.
    print("maxtasksperchild", all(pids.count(pid) <= 3 for pid in pids), len(set(pids)) >= 4)
    with mp.Pool(1, maxtasksperchild=1) as pool:
        # A chunk is one task.
        numbers = [len(set(pool.map(own_pid, range(4), chunksize=size))) for size in (1, 2, 4)]
    print(numbers)
    print(error_of(mp.Pool, 0), error_of(mp.Pool, 1, None, (), 0), error_of(mp.Pool, 1, "no function"))
    if sys.version_info >= (3, 11) and mp.get_start_method() != "fork":
        with ProcessPoolExecutor(1, mp_context=mp.get_context(), max_tasks_per_child=2) as executor:
            pids = [executor.submit(own_pid).result(30) for _ in range(4)]
            print("max_tasks_per_child", [pids.count(pid) for pid in pids], os.getpid() in pids)


def initialisers():
    here, there = mp.Pipe()
    with mp.Pool(2, remember, ("of both", there)) as pool:
        print(pool.map(recall, range(4)))
        print(sorted([here.recv(), here.recv()]) == sorted(process.pid for process in pool._pool))
    with mp.Pool(1, fail_first, (there, mp.Lock(), mp.Value("i", 2))) as pool:
        print(pool.apply(square, (3,)), [here.recv() for _ in range(3)], here.poll())
    executor = ProcessPoolExecutor(1, mp_context=mp.get_context(), initializer=fail_to_begin)
    future = executor.submit(square, 2)
    print(type(future.exception(30)).__name__, future.exception())
    try:
        executor.submit(square, 2)
    except BrokenProcessPool as error:
        print(error)
    executor.shutdown()
    print(error_of(lambda: ProcessPoolExecutor(0)), error_of(lambda: ProcessPoolExecutor(1, initializer=5)))


def ends():
    pool = mp.Pool(2)
    print(type(pool).__name__, len(pool._pool), [process.daemon for process in pool._pool])
    print(error_of(pool.join), error_of(pool.__reduce__))
    pool.close()
    print(repr(pool).partition(" pool_size")[0].rpartition(".")[2], error_of(pool.map, square, [1]))
    pool.join()
    print([process.exitcode for process in pool._pool], [process.is_alive() for process in pool._pool])
    # What was asked for before close is still done.
    pool = mp.Pool(1)
    result = pool.map_async(square, range(5), chunksize=1)
    pool.close()
    pool.join()
    print(result.get(), result.ready(), result.successful())
    # Terminate does not wait.
    here, there = mp.Pipe()
    pool = mp.Pool(2)
    processes = list(pool._pool)
    never = [pool.apply_async(hang, (there,)) for _ in range(4)]
    started = {here.recv(), here.recv()}
    print(started == {process.pid for process in processes})
    pool.terminate()
    pool.join()
    print([process.exitcode for process in processes], [result.ready() for result in never])
    print(error_of(pool.apply_async, square, (1,)), error_of(pool.__enter__), error_of(never[0].get, 0))
    with mp.Pool(1) as pool:
        inner = pool
    print(inner._state == pools.TERMINATE, error_of(inner.imap, square, [1]))


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    # The traceback of an initialiser that fails is printed by its process, which is no matter here.
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    lifetimes()
    initialisers()
    ends()
    print(mp.active_children())
