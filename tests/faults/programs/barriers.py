"""A barrier of three; the client breaks it when one of them is dead."""

import threading
from multiprocessing import connection

import seen


def meet(barrier, out):
    met = 0
    try:
        for _ in range(6):
            barrier.wait()
            met += 1
    except threading.BrokenBarrierError:
        out.send(["broken", met])
    else:
        out.send(["met", met])


def see_ends(barrier, processes):
    waiting = {process.sentinel: process for process in processes}
    while waiting:
        for sentinel in connection.wait(list(waiting)):
            if waiting.pop(sentinel).exitcode:
                barrier.abort()


def body(context):
    barrier = context.Barrier(3)
    ends, parties = [], []
    for _ in range(3):
        here, there = context.Pipe(duplex=False)
        parties.append(context.Process(target=meet, args=(barrier, there)))
        parties[-1].start()
        there.close()
        ends.append(here)
    seer = threading.Thread(target=see_ends, args=(barrier, parties))
    seer.start()
    found = []
    for here in ends:
        try:
            found.append(here.recv())
        except EOFError:
            found.append(["dead", 0])
    for process in parties:
        process.join()
    seer.join()
    return {"found": found, "codes": [process.exitcode for process in parties]}


if __name__ == "__main__":
    seen.told(body)
