"""What fork gives of shared memory: handles and views in globals, whatever becomes of names."""

import multiprocessing as mp
import sys
from multiprocessing import shared_memory as shm
from multiprocessing import sharedctypes

import numpy as np

mp.set_start_method(sys.argv[1])

handle = shm.SharedMemory(create=True, size=800)
table = np.ndarray((10, 10), np.int64, buffer=handle.buf)
column = table[:, 3]
part = handle.buf[80:160]
early = shm.SharedMemory(create=True, size=100)
early.buf[:5] = b"early"
early.unlink()
ended = shm.SharedMemory(create=True, size=100)
ended.close()
ended.unlink()
numbers = mp.Array("d", 6)
view = np.frombuffer(numbers.get_obj()).reshape(2, 3)
raw = sharedctypes.RawArray("i", 5)
reversed_raw = np.ctypeslib.as_array(raw)[::-1]
plain = np.zeros(3)
small = shm.SharedMemory(create=True, size=4)
lone = np.frombuffer(small.buf, np.uint8)


def work(number):
    table[number, number] = number
    column[number] += 100
    part[0] = 11
    view[0, number] = number + 0.5
    reversed_raw[number] = number
    plain[:] = 1
    return bytes(early.buf[:5]), ended.buf, view.shape, view.base is not None


def add_one():
    lone[:] += 1


def start(target, *args):
    process = mp.Process(target=target, args=args)
    process.start()
    return process


def inner():
    start(add_one).join()
    lone[0] += 10


class Counter(shm.SharedMemory):
    """A program's own class."""

    label = "none"

    def count(self):
        self.buf[0] += 1
        return self.label, self.buf[0]


def tell(counter, conn):
    conn.send(counter.count())


if __name__ == "__main__":
    with mp.Pool(2) as pool:
        print(pool.map(work, (0, 1, 2)))
    print(table.tolist()[:3])
    print(column.tolist(), part[0])
    print(view.tolist(), list(raw), plain.tolist())
    start(inner).join()
    print(lone.tolist())
    counter = Counter(create=True, size=4)
    counter.label = "mine"
    here, there = mp.Pipe()
    process = start(tell, counter, there)
    # The name goes at once; the child has the memory.
    counter.unlink()
    print(here.recv(), counter.count())
    process.join()
    # Else the handles complain that they cannot close.
    del table, column, lone
    part.release()
    handle.unlink()
    small.unlink()
