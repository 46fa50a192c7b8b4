"""concurrent.futures.ProcessPoolExecutor."""

import multiprocessing as mp
import os
import sys
from concurrent.futures import ProcessPoolExecutor, TimeoutError, as_completed, wait
from concurrent.futures.process import BrokenProcessPool

STATE = []


def square(number):
    return number * number


def fail(text):
    raise LookupError(text)


def remember(value):
    STATE.append(value)


def recall():
    return STATE


def drop_out():
    os._exit(3)


def fail_to_begin():
    raise RuntimeError("not ready")


def block(manager_event):
    manager_event.wait(30)


def run():
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        print(executor.submit(square, 9).result(30))
        print(list(executor.map(square, range(10), chunksize=3, timeout=30)))
        futures = [executor.submit(square, number) for number in range(5)]
        print(sorted(future.result() for future in as_completed(futures, 30)), len(wait(futures).done))
        future = executor.submit(fail, "nothing there")
        error = future.exception(30)
        print(repr(error), type(error.__cause__).__name__, "raise LookupError(text)" in str(error.__cause__))
        print(type(executor.submit(lambda: 1).exception(30)).__name__ in ("PicklingError", "AttributeError"))
        print(executor.submit(square, 4).result(30))
    try:
        executor.submit(square, 1)
    except RuntimeError as error:
        print(error)


def states():
    with ProcessPoolExecutor(1, mp_context=context, initializer=remember, initargs=("ready",)) as executor:
        print(executor.submit(recall).result(30))
    with context.Manager() as manager, ProcessPoolExecutor(1, mp_context=context) as executor:
        event = manager.Event()
        futures = [executor.submit(block, event) for _ in range(5)]
        try:
            futures[0].result(0.05)
        except TimeoutError:
            print("TimeoutError")
        print(futures[4].cancel(), futures[4].cancelled(), futures[0].cancel())
        event.set()
        print(len(wait(futures[:4], 30).done))


def broken():
    executor = ProcessPoolExecutor(2, mp_context=context)
    futures = [executor.submit(drop_out) for _ in range(3)]
    for future in futures:
        print(type(future.exception(30)).__name__)
    try:
        executor.submit(square, 1)
    except BrokenProcessPool as error:
        print(error)
    executor.shutdown()
    with ProcessPoolExecutor(1, mp_context=context, initializer=fail_to_begin) as executor:
        print(type(executor.submit(square, 1).exception(30)).__name__)


if __name__ == "__main__":
    context = mp.get_context(sys.argv[1])
    run()
    states()
    broken()
