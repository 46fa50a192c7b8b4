"""Modules with each other's functions, set before others were imported, or used by a grandchild only."""

import multiprocessing as mp
import sys


def unseen(queue):
    from register import unseen

    queue.put((unseen.LEVEL, unseen.WORDS, unseen.LARGE[-1], len(unseen.LARGE)))


def below(queue):
    process = mp.Process(target=unseen, args=(queue,))
    process.start()
    process.join()


def prepare():
    from register import unit, unseen

    unit.UNIT = 21
    unseen.setup()


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    prepare()
    from register import entries

    entries.BOOK["made"] = entries.Second()
    queue = mp.SimpleQueue()
    for target in (entries.play, unseen, below):
        process = mp.Process(target=target, args=(queue,))
        process.start()
        process.join()
        print(process.exitcode, queue.get())
