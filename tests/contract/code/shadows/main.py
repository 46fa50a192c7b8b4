"""Modules that hide the standard library's, also those that a process needs to be started at all."""

import hashlib
import json
import multiprocessing as mp
import sys
from concurrent.futures import ProcessPoolExecutor
from json.decoder import Thing

#: Imported late: by a process first.
LATE = ("ctypes", "dataclasses", "decimal", "mmap", "platform", "redis")


def see(thing, late=LATE):
    import json.decoder

    who = [getattr(__import__(name), "WHO", "somebody else") for name in late]
    files = [json.decoder.__file__.split("/")[-3:], hashlib.__file__.split("/")[-2:]]
    inside = sorted(name for name in sys.modules if name.partition(".")[0] in ("json", "hashlib"))
    return who, files, inside, type(thing) is json.Thing is Thing, json.Thing(thing.number + 1)


def below(thing, queue):
    process = mp.Process(target=tell, args=(thing, queue))
    process.start()
    process.join()


def tell(thing, queue):
    queue.put(see(thing))


def show(seen):
    *said, thing = seen
    print(*said, type(thing) is json.Thing, thing.number)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    with mp.Pool(1) as pool:
        show(pool.apply(see, (Thing(1),)))
    with ProcessPoolExecutor(1) as executor:
        show(executor.submit(see, Thing(2)).result())
    # Before 3.10 a manager's connections need the true hashlib.
    if sys.version_info >= (3, 10):
        with mp.Manager() as manager:
            shared = manager.dict(thing=Thing(3))
            print(type(shared["thing"]) is Thing, shared["thing"].number)
    queue = mp.SimpleQueue()
    process = mp.Process(target=below, args=(Thing(4), queue))
    process.start()
    show(queue.get())
    process.join()
    # And by the program itself when processes have been started.
    show(see(Thing(5)))
