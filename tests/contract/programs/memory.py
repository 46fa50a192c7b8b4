"""Shared memory and barriers, which stand on it."""

import multiprocessing as mp
import sys
from multiprocessing import sharedctypes

from own.shapes import Pair


def count(value, rounds):
    for _ in range(rounds):
        with value.get_lock():
            value.value += 1


def square(array, first, last):
    for at in range(first, last):
        array[at] = array[at] ** 2


def swap(pair, raw):
    with pair.get_lock():
        pair.left, pair.right = int(pair.right), pair.left / 2
    raw[0] = raw[1] * 2


def meet(barrier, queue, name):
    queue.put((name, "before"))
    place = barrier.wait(30)
    queue.put((name, "after"))
    queue.put(("place", place))


def break_it(barrier):
    barrier.abort()


def fill(array, end):
    raw = array.get_obj()
    for at in range(len(raw)):
        raw[at] = at * 1.5
    end.send("filled")
    end.recv()
    end.send(sum(raw))


def both(one, two, rounds):
    for _ in range(rounds):
        with one.get_lock():
            one.value += 1
            two.value -= 1


def start(target, *args):
    process = mp.Process(target=target, args=args)
    process.start()
    return process


def values():
    value = mp.Value("i", 5)
    processes = [start(count, value, 40) for _ in range(3)]
    for process in processes:
        process.join()
    print(value.value)
    array = mp.Array("d", range(8))
    processes = [start(square, array, 0, 4), start(square, array, 4, 8)]
    for process in processes:
        process.join()
    print(array[:], len(array))
    pair, raw = sharedctypes.Value(Pair, 1, 7.5), sharedctypes.RawArray("i", [0, 21])
    start(swap, pair, raw).join()
    print(pair.left, pair.right, list(raw))
    text = mp.Array("c", b"hello")
    print(text.value, text.raw)


def taken_out():
    """Buffers that are written and read without their lock, and what only one side does so."""
    array = mp.Array("d", 1000)
    mine, theirs = mp.Pipe()
    process = start(fill, array, theirs)
    print(mine.recv(), array[999], sum(array[:]))
    raw = array.get_obj()
    raw[0] = 7.0
    mine.send(None)
    print(mine.recv(), raw[2])
    process.join()
    value = mp.Value("i", 3)
    process = start(count, value, 4)
    process.join()
    print(value.get_obj().value, value.value)


def one_lock():
    """Two values that ride on one lock, which the program has besides."""
    one, two = mp.Value("i", 0, lock=LOCK), mp.Value("i", 0, lock=LOCK)
    processes = [start(both, one, two, 20) for _ in range(2)]
    for process in processes:
        process.join()
    with LOCK:
        print(one.value, two.value)


def barriers():
    barrier, queue = mp.Barrier(3), mp.Queue()
    processes = [start(meet, barrier, queue, name) for name in "ab"]
    print(sorted(queue.get() for _ in processes))
    places = {barrier.wait(30)}
    for _ in range(4):
        name, what = queue.get()
        if name == "place":
            places.add(what)
        else:
            assert what == "after"
    print(sorted(places), barrier.n_waiting, barrier.parties)
    for process in processes:
        process.join()
    start(break_it, barrier).join()
    print(barrier.broken)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    LOCK = mp.RLock()
    values()
    taken_out()
    one_lock()
    barriers()
