"""Executors: wait, as_completed, map, cancel, shutdown, and asyncio on top of them."""

import asyncio
import concurrent.futures as cf
import multiprocessing as mp
import sys
import threading
import time
import traceback


def square(number):
    return number * number


def add(one, two, three=0):
    return one + two + three


def fail(number):
    raise LookupError(f"no {number}")


def wait_for(event):
    return event.wait(30)


def fail_after(event):
    event.wait(30)
    raise LookupError("after the event")


def unpicklable():
    return lambda: None


class Unloadable:
    """Cannot be unpickled where it arrives."""

    def __reduce__(self):
        return fail, ("unpickle",)


def unloadable():
    return Unloadable()


def waits(executor, manager):
    event = manager.Event()
    quick, slow = executor.submit(square, 3), executor.submit(wait_for, event)
    while not slow.running():
        time.sleep(0.001)
    done, left = cf.wait([quick, slow], 30, cf.FIRST_COMPLETED)
    print(done == {quick}, left == {slow}, slow.done(), slow.running(), quick.done())
    print(len(cf.wait([slow], 0.01).not_done), cf.wait([]))
    try:
        for future in cf.as_completed([quick, slow], timeout=0.05):
            print(future.result())
    except cf.TimeoutError as error:
        print("TimeoutError", error)
    event.set()
    print(slow.result(30), [future is slow for future in cf.as_completed([slow], 30)])
    event.clear()
    failing, waiting = executor.submit(fail, 1), executor.submit(wait_for, event)
    done, left = cf.wait([failing, waiting], 30, cf.FIRST_EXCEPTION)
    print(done == {failing}, left == {waiting}, repr(failing.exception()))
    event.set()
    print(cf.wait([failing, waiting], 30, cf.ALL_COMPLETED).not_done)
    called = []
    future = executor.submit(square, 4)
    future.add_done_callback(lambda future: called.append(future.result()))
    future.result(30)
    future.add_done_callback(lambda future: called.append("at once"))
    cf.wait([executor.submit(square, 1)], 30)
    print(called)


def maps(executor, manager):
    print(list(executor.map(square, range(6))), list(executor.map(square, range(7), chunksize=3)))
    print(list(executor.map(add, [1, 2], [3, 4, 5], [6, 7])), list(executor.map(add, [], [])))
    event = manager.Event()
    results = executor.map(wait_for, [event, event], timeout=0.05)
    try:
        next(results)
    except cf.TimeoutError:
        print("TimeoutError")
    event.set()
    results = executor.map(square, ["no number", 1])
    try:
        next(results)
    except TypeError as error:
        print(error)
    print(list(results))
    try:
        executor.map(square, [1], chunksize=0)
    except ValueError as error:
        print(error)


def errors(executor):
    future = executor.submit(fail, 5)
    error = future.exception(30)
    print(repr(error), type(error.__cause__).__name__)
    print(error.__cause__)
    try:
        future.result()
    except LookupError:
        print("direct cause" in traceback.format_exc())
    for function in (unpicklable, unloadable):
        failed = executor.submit(function).exception(30)
        print(type(failed).__name__, str(failed).partition("<")[0])
        if function is unloadable:
            # The executor's own thread has read what it could not read.
            return


def cancels(manager):
    event = manager.Event()
    executor = cf.ProcessPoolExecutor(1, mp_context=mp.get_context())
    futures = [executor.submit(wait_for, event) for _ in range(6)]
    while not futures[0].running():
        time.sleep(0.001)
    print(futures[0].cancel(), futures[5].cancel(), futures[5].cancelled(), futures[5].cancel())
    for call in (futures[5].result, futures[5].exception):
        try:
            call(1)
        except cf.CancelledError:
            print("CancelledError")
    # Another thread ends the wait of those that run already.
    threading.Timer(0.05, event.set).start()
    executor.shutdown(wait=True, cancel_futures=True)
    print(futures[0].result(), futures[4].cancelled(), all(future.done() for future in futures))
    try:
        executor.submit(square, 1)
    except RuntimeError as error:
        print(error)
    executor.shutdown()
    event.clear()
    executor = cf.ProcessPoolExecutor(1, mp_context=mp.get_context())
    future = executor.submit(fail_after, event)
    executor.shutdown(wait=False)
    event.set()
    print(repr(future.exception(30)))


async def asynchronous():
    loop = asyncio.get_running_loop()
    with cf.ProcessPoolExecutor(2, mp_context=mp.get_context()) as executor:
        print(await loop.run_in_executor(executor, square, 6))
        print(await asyncio.gather(*(loop.run_in_executor(executor, square, number) for number in range(5))))
        try:
            await loop.run_in_executor(executor, fail, 7)
        except LookupError as error:
            print(repr(error), type(error.__cause__).__name__)
        with mp.Manager() as manager:
            event = manager.Event()
            future = executor.submit(wait_for, event)
            try:
                await asyncio.wait_for(asyncio.wrap_future(future), 0.05)
            except asyncio.TimeoutError:
                print("TimeoutError")
            event.set()
            # A process that has not read its task needs the manager for the event.
            print(cf.wait([future], 30).not_done)
        ticks = []

        async def tick():
            while len(ticks) < 3:
                ticks.append(len(ticks))
                await asyncio.sleep(0)

        _, result = await asyncio.gather(tick(), loop.run_in_executor(executor, square, 8))
        print(ticks, result)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    with mp.Manager() as manager:
        with cf.ProcessPoolExecutor(2, mp_context=mp.get_context()) as executor:
            waits(executor, manager)
            maps(executor, manager)
            errors(executor)
        cancels(manager)
    asyncio.run(asynchronous())
