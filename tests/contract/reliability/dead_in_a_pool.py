"""Processes of a pool that end in the middle of a task, in each way and under each call."""

import multiprocessing as mp
import os
import signal
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

LAST = 12
SHARED = {}


def share(begun, barrier):
    SHARED.update(begun=begun, barrier=barrier)


def die(way):
    if way == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif way == "_exit":
        os._exit(3)
    elif way == "exit":
        sys.exit()
    elif way == "abort":
        os.abort()


def task(number, way=None):
    """The square; the one in the middle ends its process."""
    SHARED["begun"].put(number)
    if way and number == LAST // 2:
        die(way)
    return number * number


def nothing(_):
    return None


def meet(_):
    SHARED["barrier"].wait(60)


def tell_and_hang(conn):
    conn.send(os.getpid())
    conn.recv()


class Bomb:
    """Cannot be unpickled."""

    def __reduce__(self):
        return die, ("_exit",)


def outcome(call, *args):
    """What it returns, or the error without what is another one each time."""
    try:
        return call(*args)
    except RuntimeError as error:
        kind, said = type(error).__name__, str(error)
        named = all(word in said for word in ("PoolWorker-", "pid ", "on worker "))
        return f"{kind} {said.partition('exit code ')[2].split()[0]} {named}"


def each(iterator):
    while True:
        try:
            yield outcome(next, iterator)
        except StopIteration:
            return


def begun_once(begun):
    """Whether each of the tasks was begun, and none twice."""
    counts = Counter()
    while not begun.empty():
        counts[begun.get()] += 1
    return sorted(counts) == list(range(LAST)) and set(counts.values()) == {1}


def every_call(pool, begun):
    numbers = range(LAST)
    for way in ("kill", "_exit", "exit", "abort"):
        pairs = [(number, way) for number in numbers]
        print(way, "starmap", outcome(pool.starmap, task, pairs, 1), begun_once(begun))
    pairs = [(number, "kill") for number in numbers]
    called, failed = [], []
    results = [
        pool.apply_async(task, pair, callback=called.append, error_callback=failed.append) for pair in pairs
    ]
    print("apply_async", [outcome(result.get, 60) for result in results], begun_once(begun))
    print("callbacks", sorted(called), len(failed))
    print("apply", outcome(pool.apply, die, ("exit",)), pool.apply(len, ((1, 2),)))
    print("map", outcome(pool.map, die, ["kill"]), pool.map(len, [(), (1,)]))
    print("imap", list(each(pool.imap(die, [None, "exit", None]))))
    found = list(each(pool.imap_unordered(die, [None, "_exit", None])))
    print("imap_unordered", sorted(map(str, found)))
    print("unpickled", outcome(pool.apply, len, (Bomb(),)))


def bursts(pool, begun):
    """Short tasks are taken several at a time; what was taken and not begun is not lost."""
    for _ in range(3):
        pool.map(nothing, range(300), chunksize=1)
        results = [pool.apply_async(task, (number, "kill")) for number in range(LAST)]
        found = [outcome(result.get, 60) for result in results]
        print("burst", found, begun_once(begun))


def meetings(pool, width):
    """A process that has taken more than it runs would keep the others waiting."""
    pool.map(nothing, range(300), chunksize=1)
    print("meetings", pool.map(meet, range(2 * width), chunksize=1))


def from_outside(pool):
    here, there = mp.Pipe()
    result = pool.apply_async(tell_and_hang, (there,))
    rest = pool.map_async(len, [(1,)] * 50, chunksize=1)
    killed = here.recv()
    os.kill(killed, signal.SIGKILL)
    print("from outside", outcome(result.get, 60), sum(rest.get(60)))
    # One that has no task.
    victim = next(process for process in list(pool._pool) if process.pid != killed and process.is_alive())
    victim.kill()
    victim.join()
    print("idle", pool.map(len, [(1,)] * 20, chunksize=1) == [1] * 20)


def executors():
    for way in ("kill", "_exit"):
        with ProcessPoolExecutor(2, mp_context=mp.get_context()) as executor:
            futures = [executor.submit(die, way if number == 3 else None) for number in range(8)]
            broken = sum(isinstance(future.exception(60), BrokenProcessPool) for future in futures)
            print("executor", way, broken >= 1, isinstance(futures[3].exception(), BrokenProcessPool))


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    # A process that could not unpickle its task prints a traceback, which is no matter here.
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    begun = mp.SimpleQueue()
    with mp.Pool(2, share, (begun, mp.Barrier(2))) as pool:
        every_call(pool, begun)
        bursts(pool, begun)
        from_outside(pool)
        meetings(pool, 2)
        pool.close()
        pool.join()
        print([process.exitcode for process in pool._pool])
    with mp.Pool(1, share, (begun, None), maxtasksperchild=2) as pool:
        print([outcome(pool.apply, task, (number, "kill")) for number in range(LAST)], begun_once(begun))
    executors()
    print(mp.active_children())
