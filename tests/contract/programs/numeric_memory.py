"""Programs of numbers in shared memory, as they are written for one machine."""

import multiprocessing as mp
import random
import sys
import time
from multiprocessing import shared_memory as shm
from multiprocessing import sharedctypes

import numpy as np


def quicksort(array, low, high, depth):
    """Sort in place; one half in a process of its own while there is depth left."""
    while low < high:
        middle = partition(array, low, high)
        if depth and high - low > 50:
            depth -= 1
            process = mp.Process(target=quicksort, args=(array, low, middle - 1, depth))
            process.start()
            quicksort(array, middle + 1, high, depth)
            process.join()
            return
        quicksort(array, low, middle - 1, 0)
        low = middle + 1


def partition(array, low, high):
    pivot = array[(low + high) // 2]
    array[(low + high) // 2], array[high] = array[high], pivot
    place = low
    for at in range(low, high):
        if array[at] < pivot:
            array[at], array[place] = array[place], array[at]
            place += 1
    array[place], array[high] = array[high], array[place]
    return place


def sort():
    numbers = random.Random(7).choices(range(10_000), k=400)
    array = mp.Array("i", numbers)
    quicksort(array, 0, len(array) - 1, 2)
    print(array[:] == sorted(numbers), sum(array))


SIDE = 32
STEPS = 12


def grids(name):
    memory = shm.SharedMemory(name)
    return memory, np.ndarray((2, SIDE, SIDE), np.float64, buffer=memory.buf)


def relax(name, barrier, first, last):
    memory, grid = grids(name)
    for step in range(STEPS):
        old, new = grid[step % 2], grid[1 - step % 2]
        new[first:last, 1:-1] = (
            old[first - 1 : last - 1, 1:-1]
            + old[first + 1 : last + 1, 1:-1]
            + old[first:last, :-2]
            + old[first:last, 2:]
        ) / 4
        barrier.wait(30)
    del grid, old, new
    memory.close()


def stencil():
    memory = shm.SharedMemory(create=True, size=2 * SIDE * SIDE * 8)
    grid = np.ndarray((2, SIDE, SIDE), np.float64, buffer=memory.buf)
    grid[:, 0, :] = 100.0
    barrier = mp.Barrier(3)
    edges = (1, 11, 21, SIDE - 1)
    processes = [
        mp.Process(target=relax, args=(memory.name, barrier, first, last))
        for first, last in zip(edges, edges[1:])
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print([round(float(value), 9) for value in grid[STEPS % 2, :8, SIDE // 2]], float(grid.sum()).hex())
    del grid
    memory.close()
    memory.unlink()


def environment(conn, observations, place):
    """The worker of a vector environment: it writes without a lock, and then sends."""
    mine = np.frombuffer(observations.get_obj(), np.float32).reshape(3, 4)[place]
    state = np.zeros(4, np.float32)
    while True:
        command, action = conn.recv()
        if command == "close":
            break
        state += action * (place + 1)
        np.copyto(mine, state)
        conn.send((float(state.sum()), False))


def vector_environment():
    observations = mp.Array("f", 12)
    seen = np.frombuffer(observations.get_obj(), np.float32).reshape(3, 4)
    conns, processes = [], []
    for place in range(3):
        here, there = mp.Pipe()
        processes.append(mp.Process(target=environment, args=(there, observations, place)))
        processes[-1].start()
        conns.append(here)
    for step in range(1, 5):
        for conn in conns:
            conn.send(("step", step))
        rewards = [conn.recv() for conn in conns]
        print(rewards, seen.tolist())
    for conn in conns:
        conn.send(("close", None))
    for process in processes:
        process.join()


def crunch(progress, go_on):
    for done in range(1, 6):
        progress.value = done
        go_on.acquire()


def progress():
    """Polled without any synchronisation; the process goes on when the parent has seen it."""
    counter, go_on = sharedctypes.RawValue("i", 0), mp.Semaphore(0)
    process = mp.Process(target=crunch, args=(counter, go_on))
    process.start()
    seen = []
    while counter.value < 5:
        if counter.value and counter.value not in seen:
            seen.append(counter.value)
            go_on.release()
        time.sleep(0.001)
    go_on.release()
    process.join()
    print(seen, counter.value)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    sort()
    stencil()
    vector_environment()
    progress()
