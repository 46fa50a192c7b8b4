"""What comes out of a pool: in which order, when, and how errors arrive."""

import multiprocessing as mp
import os
import sys
import threading
import traceback


def square(number):
    return number * number


def add(*numbers, start=0):
    return sum(numbers, start)


def fail(number):
    if number % 2:
        raise KeyError(f"odd {number}")
    return number


class Odd(Exception):
    def __init__(self, message, detail):
        super().__init__(message, detail)
        self.detail = detail

    def __reduce__(self):
        return Odd, self.args


def chained(number):
    try:
        fail(1)
    except KeyError as error:
        raise Odd("chained", number) from error


def unpicklable(_):
    return lambda: None


def raise_unpicklable(_):
    raise ValueError(threading.Lock())


class Source:
    """An iterable that counts how far it was read."""

    def __init__(self, count, error_at=None):
        self.count, self.error_at, self.read = count, error_at, 0
        self.all_read = threading.Event()

    def __iter__(self):
        for number in range(self.count):
            self.read += 1
            if number == self.error_at:
                raise OSError("the input ends early")
            yield number
        self.all_read.set()


def orders(pool):
    print(list(pool.imap(square, range(10))), list(pool.imap(square, range(10), chunksize=4)))
    print(sorted(pool.imap_unordered(square, range(10), 3)), pool.starmap(add, [(1, 2), (3,), ()]))
    print(
        pool.apply(add, (1, 2), {"start": 10}),
        pool.map(square, (number for number in range(3))),
        pool.map(square, ""),
    )
    print(pool.starmap_async(add, [(1,), (2, 3)]).get(30), pool.map_async(square, []).get(30))
    # Inputs are read ahead by a thread, results are taken one by one.
    source = Source(50)
    results = pool.imap(square, source)
    print(source.all_read.wait(30), source.read, next(results), results.next(timeout=30), sum(results))
    try:
        next(results)
    except StopIteration:
        print("StopIteration")
    source = Source(10, error_at=3)
    got = []
    try:
        for result in pool.imap(square, source):
            got.append(result)
    except OSError as error:
        print(got, error)
    try:
        pool.map(square, Source(10, error_at=3))
    except OSError as error:
        print(error)
    got = []
    results = pool.imap(fail, range(4))
    while True:
        try:
            got.append(next(results))
        except KeyError as error:
            got.append(repr(error))
        except StopIteration:
            break
    print(got)
    try:
        pool.imap(square, [1], chunksize=0)
    except ValueError as error:
        print(error)


def slowest_last(pool):
    """The unordered iterator gives what is done first."""
    with mp.Manager() as manager:
        gate = manager.Event()
        results = pool.imap_unordered(Waits(gate), range(2))
        print(next(results))
        try:
            results.next(timeout=0.01)
        except mp.TimeoutError:
            print("TimeoutError")
        gate.set()
        print(next(results))


class Waits:
    def __init__(self, gate):
        self.gate = gate

    def __call__(self, number):
        if number == 0:
            self.gate.wait(30)
        return number


def callbacks(pool):
    done, failed = [], []
    threads = []

    def callback(result):
        threads.append(threading.current_thread() is threading.main_thread())
        done.append(result)

    pool.apply_async(square, (3,), callback=callback).wait(30)
    pool.map_async(square, range(3), callback=callback).wait(30)
    pool.map_async(square, [], callback=callback).wait(30)
    pool.starmap_async(add, [(1, 1)], 1, callback, failed.append).wait(30)
    print(done, failed, set(threads))
    for ask in (
        lambda: pool.apply_async(fail, (1,), {}, callback, failed.append),
        lambda: pool.map_async(fail, range(3), 1, callback, failed.append),
        lambda: pool.starmap_async(add, [("no", "sum")], error_callback=failed.append),
    ):
        asked = ask()
        asked.wait(30)
        print(asked.ready(), asked.successful(), repr(failed[-1]), len(done))


def errors(pool):
    for function in (fail, chained):
        try:
            pool.apply(function, (1,))
        except Exception as error:
            cause = error.__cause__
            print(type(error).__name__, error.args, getattr(error, "detail", None))
            print(type(cause).__name__, cause.__cause__, error.__context__ is None)
            print(str(cause))
            text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            print(text.count("RemoteTraceback"), "direct cause" in text)
    for function in (unpicklable, raise_unpicklable):
        try:
            pool.apply(function, (1,))
        except mp.pool.MaybeEncodingError as error:
            text = str(error)
            print(type(error).__name__, text.startswith("Error sending result: '"), "Reason: '" in text)
            print(text.partition("Reason: ")[2].partition(" at 0x")[0])
            print(type(error.exc).__name__, type(error.value).__name__)
    pids = set(pool.map(own_pid, range(20)))
    print(os.getpid() in pids, len(pids) <= 2)


def own_pid(_):
    return os.getpid()


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    with mp.Pool(2) as pool:
        orders(pool)
        slowest_last(pool)
        callbacks(pool)
        errors(pool)
