"""What only fork gives: closures, lambdas, locals, and globals as they are at start()."""

import multiprocessing as mp
import socket
import sys
import threading
from collections import namedtuple
from concurrent.futures import ProcessPoolExecutor

mp.set_start_method(sys.argv[1])

Point = namedtuple("Point", "x y")
settings = {"when": "at import"}
count = 1


def make_adder(amount):
    lock = threading.Lock()

    def add(number):
        with lock:
            return number + amount

    return add


def with_local_class(conn):
    class Local:
        def __init__(self, value):
            self.value = value

        def show(self):
            return f"local {self.value}"

    process = mp.Process(target=lambda: conn.send(Local(4).show()))
    process.start()
    return process


def report(conn):
    conn.send((settings, count, Point(1, 2), set_under_guard))


def change(conn):
    global count
    count += 100
    settings["when"] = "in the process"
    conn.send((count, settings))


def get_count():
    return count


class Job:
    """Holds what belongs to this process, and what it starts never touches that."""

    def __init__(self):
        self.name = "job"
        self.feed = (number for number in range(3))
        self.parts = {"listening": socket.socket(), "done": []}
        self.pool = ProcessPoolExecutor(2)

    def work(self):
        self.parts["done"].append(self.name)
        there.send(self.parts["done"])


def factorial(number):
    return 1 if number < 2 else number * factorial(number - 1)


if __name__ == "__main__":
    here, there = mp.Pipe()

    def run(target, *args):
        process = mp.Process(target=target, args=args)
        process.start()
        got = here.recv()
        process.join()
        return got

    print(run(lambda: there.send("lambda")))
    print(run(lambda add: there.send(add(1)), make_adder(41)))
    job = Job()
    print(run(job.work), next(job.feed))
    job.parts["listening"].close()
    process = with_local_class(there)
    print(here.recv())
    process.join()

    set_under_guard = ["guard"]
    settings["when"] = "before start"
    count = 2
    print(run(report, there))
    print(run(change, there), count, settings)
    settings["when"] = "later"
    print(run(report, there))
    print(run(lambda: there.send(factorial(10))))
    with mp.Pool(2, initializer=lambda value: globals().__setitem__("count", value), initargs=(7,)) as pool:
        print(pool.map(factorial, range(6)), pool.apply(get_count))
    with ProcessPoolExecutor(2) as executor:
        print(list(executor.map(factorial, range(6))))
