"""Large arrays, bytes and texts on everything that carries messages."""

import multiprocessing as mp
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np

SIZE = 200_000


def kinds():
    frozen = np.arange(SIZE)
    frozen.flags.writeable = False
    records = np.zeros(SIZE // 4, dtype=[("number", "i4"), ("name", "S5"), ("value", "f8")])
    records["value"] = np.arange(SIZE // 4)
    return {
        "plain": np.arange(SIZE),
        "large": np.arange(8 * SIZE, dtype="f4").reshape(8, -1),
        "by columns": np.asfortranarray(np.arange(SIZE).reshape(4, -1)),
        "every other": np.arange(2 * SIZE)[::2],
        "frozen": frozen,
        "times": np.arange(SIZE).astype("M8[m]"),
        "records": records,
        "turned": np.arange(SIZE).astype(">i8"),
        "masked": np.ma.masked_array(np.arange(SIZE), np.arange(SIZE) % 3 == 0),
        "objects": np.array([1, None, "x"] * (SIZE // 20)),
        "none": np.zeros((0, SIZE)),
        "bytes": b"x" * SIZE * 3,
        "text": "\u00e9" * SIZE * 2,
    }


def seen(value):
    if not isinstance(value, np.ndarray):
        return type(value).__name__, len(value), value[:2]
    flags = [name for name in ("C_CONTIGUOUS", "F_CONTIGUOUS", "WRITEABLE") if value.flags[name]]
    return type(value).__name__, str(value.dtype), value.shape, value.ravel()[-3:].tolist(), flags


def echo(conn):
    while True:
        value = conn.recv()
        if value is None:
            return
        conn.send((seen(value), value))


def pass_on(there, back):
    while True:
        value = there.get()
        if value is None:
            return
        back.put((seen(value[0]), value))


def through_pipe():
    mine, theirs = mp.Pipe()
    process = mp.Process(target=echo, args=(theirs,))
    process.start()
    for name, value in kinds().items():
        mine.send(value)
        there, back = mine.recv()
        print(name, there, seen(back) == there)
    values = [np.ones(SIZE), b"y" * SIZE * 2]
    mine.send([values, values[0], values[1]])
    _, (both, array, text) = mine.recv()
    print("the same:", both[0] is array, both[1] is text)
    array[0] = 5
    print("changed:", both[0][0], values[0][0])
    mine.send(np.arange(SIZE))
    there, back = pickle.loads(mine.recv_bytes())
    print("as bytes:", there, seen(back) == there)
    mine.send(None)
    process.join()


def through(kind):
    there, back = kind(), kind()
    process = mp.Process(target=pass_on, args=(there, back))
    process.start()
    for value in ([np.arange(SIZE)], [np.ones((3, SIZE)), b"z" * SIZE * 2], [b"small"]):
        there.put(value)
        found, again = back.get()
        print(kind.__name__, found, seen(again[0]) == found, len(again))
    there.put(None)
    process.join()


def scale(array, factor=2):
    array *= factor
    return array


def through_tasks():
    arrays = [np.full(SIZE, n, dtype="f8") for n in range(6)]
    shared = np.arange(SIZE, dtype="f8")
    with mp.Pool(2) as pool:
        print("map:", [(one[0], one.sum()) for one in pool.map(scale, arrays, chunksize=1)])
        print("apply:", pool.apply(scale, (shared, 3))[-1], shared[-1])
        found = pool.starmap(scale, [(shared, n) for n in range(5)], chunksize=1)
        print("one for many:", [one[1] for one in found], shared[1])
    with ProcessPoolExecutor(2) as executor:
        print("executor:", [one.sum() for one in executor.map(scale, arrays)])
        print("one for many:", [one[1] for one in executor.map(scale, [shared] * 5, range(5))], shared[1])


def through_manager():
    with mp.Manager() as manager:
        values = manager.dict(a=np.arange(SIZE))
        values["b"] = np.ones(SIZE)
        print("manager:", values["a"][-1], values["b"].sum(), values["a"].flags.writeable)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    through_pipe()
    through(mp.Queue)
    through(mp.SimpleQueue)
    through(mp.JoinableQueue)
    through_tasks()
    through_manager()
