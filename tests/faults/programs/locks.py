"""A number under its lock; who waits for a lock whose holder has died is told so."""

from multiprocessing import connection

import seen


def add(value, mourning, out):
    lock = value.get_lock()
    for done in range(20):
        while not lock.acquire(timeout=0.5):
            if mourning.is_set():
                out.send(["stuck", done])
                return
        value.value += 1
        lock.release()
    out.send(["done", 20])


def body(context):
    value, mourning = context.Value("i", 0), context.Event()
    ends, adders = [], []
    for _ in range(2):
        here, there = context.Pipe(duplex=False)
        adders.append(context.Process(target=add, args=(value, mourning, there)))
        adders[-1].start()
        there.close()
        ends.append(here)
    waiting = {process.sentinel: process for process in adders}
    while waiting:
        for sentinel in connection.wait(list(waiting)):
            process = waiting.pop(sentinel)
            process.join()
            if process.exitcode:
                mourning.set()
    found = []
    for here in ends:
        try:
            found.append(here.recv())
        except EOFError:
            found.append(["dead", 0])
    # Not `value`, whose lock may be held for ever.
    return {"value": value.get_obj().value, "found": found, "codes": [process.exitcode for process in adders]}


if __name__ == "__main__":
    seen.told(body)
