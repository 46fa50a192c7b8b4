"""multiprocessing.Pool."""

import multiprocessing as mp
import os
import sys
import time

TABLE = {}


def square(number):
    return number * number


def power(base, exponent):
    return base**exponent


def fail(number):
    if number == 3:
        raise LookupError(f"no {number}")
    return number


def fill(table):
    TABLE.update(table)


def look_up(name):
    return TABLE[name], os.getpid()


def own_pid(_):
    return os.getpid()


def hang(seconds):
    time.sleep(seconds)


def unpicklable(_):
    return lambda: None


def basics(pool):
    print(pool.map(square, range(20)), pool.map(square, range(20), chunksize=7), pool.map(square, []))
    print(list(pool.imap(square, range(5))), sorted(pool.imap_unordered(square, range(5), chunksize=2)))
    print(pool.starmap(power, [(2, 3), (3, 2)]), pool.apply(power, (2,), {"exponent": 5}))
    done = []
    results = [pool.apply_async(square, (number,), callback=done.append) for number in range(4)]
    print([result.get(30) for result in results], results[0].ready(), results[0].successful())
    result = pool.map_async(square, [7], callback=done.extend)
    result.wait(30)
    print(result.get(), sorted(done))
    lazy = pool.imap(square, iter(range(3)))
    print(next(lazy), lazy.next(30), next(lazy), next(lazy, "no more"))


def errors(pool):
    failed = []
    for attempt in (
        lambda: pool.map(fail, range(5)),
        lambda: pool.apply(fail, (3,)),
        lambda: pool.apply_async(fail, (3,), error_callback=failed.append).get(30),
        lambda: list(pool.imap(fail, range(5))),
    ):
        try:
            attempt()
        except LookupError as error:
            lines = str(error.__cause__).splitlines()
            print(error, type(error.__cause__).__name__, [line for line in lines if "LookupError" in line])
            print(any("in fail" in line for line in lines))
    print(failed)
    try:
        pool.apply(unpicklable, (1,))
    except mp.pool.MaybeEncodingError as error:
        print(type(error).__name__)
    try:
        pool.apply_async(hang, (600,)).get(0.05)
    except mp.TimeoutError:
        print("TimeoutError")


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    with mp.Pool(2) as pool:
        basics(pool)
        # Leaves one process with a task that never ends: the pool is terminated.
        errors(pool)
    try:
        pool.map(square, [1])
    except ValueError as error:
        print(error)
    pool = mp.Pool(2, initializer=fill, initargs=({"a": 1, "b": 2},))
    found = pool.map(look_up, ["a", "b", "a", "b"], chunksize=1)
    pool.close()
    pool.join()
    print([value for value, _ in found], os.getpid() in {pid for _, pid in found})
    with mp.Pool(1, maxtasksperchild=2) as pool:
        pids = [pool.apply(own_pid, (None,)) for _ in range(6)]
    # Not while the pool's thread may fork: a child of plain Python's would print the line once more.
    print(len(set(pids)), [pids.count(pid) for pid in dict.fromkeys(pids)])
