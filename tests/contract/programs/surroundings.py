"""What a process finds around it: environment, directory, arguments, modules, random state."""

import logging
import multiprocessing as mp
import os
import sys

import own
from own import inner

COMPUTED = [number**2 for number in range(4)]


class Money:
    unit = "EUR"

    def __init__(self, amount):
        self.amount = amount

    def __add__(self, other):
        return Money(self.amount + other.amount)

    def __repr__(self):
        return f"{self.amount} {self.unit}"


def look(queue):
    queue.put(
        {
            "environ": {name: os.environ.get(name) for name in ("SET_BEFORE", "SET_LATE", "HOME", "LANG")},
            "argv": sys.argv[1:],
            "script": os.path.basename(sys.argv[0]),
            "main": sys.modules["__main__"].__name__,
            "computed": COMPUTED,
            "own": (own.double(21), inner.CALLS, own.__name__, inner.__file__.endswith("inner.py")),
            "path": os.path.basename(sys.path[0]),
            "flags": sys.flags.optimize,
            "level": logging.getLogger("multiprocessing").getEffectiveLevel(),
        }
    )


def pay(queue, one, other):
    import own.inner as late

    queue.put((one + other, late.double(3)))


def import_late(queue):
    import own.late

    queue.put(own.late.answer())


def gone_module(queue):
    try:
        import own.nowhere  # noqa: F401
    except ModuleNotFoundError as error:
        queue.put((str(error), error.name))


def run(target, *args):
    process = mp.Process(target=target, args=(queue, *args))
    process.start()
    got = queue.get()
    process.join()
    return got


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    queue = mp.Queue()
    os.environ["SET_LATE"] = "by the program"
    for name, value in run(look).items():
        print(name, value)
    os.environ["SET_LATE"] = "again"
    sys.argv.append("appended")
    looked = run(look)
    # A fork server's environment is that of its own beginning.
    if sys.argv[1] != "forkserver":
        print(looked["environ"]["SET_LATE"], looked["argv"])
    print(run(pay, Money(3), Money(4)))
    print(run(import_late))
    print(run(gone_module))
