"""SharedMemory and ShareableList, however the name reaches who opens it."""

import multiprocessing as mp
import os
import sys
from multiprocessing import shared_memory as shm
from multiprocessing.managers import SharedMemoryManager

block = None


def start(target, *args):
    process = mp.Process(target=target, args=args)
    process.start()
    return process


def run(target, *args):
    process = start(target, *args)
    process.join()
    return process.exitcode


def write(name, text):
    memory = shm.SharedMemory(name)
    memory.buf[: len(text)] = text
    memory.close()


def upper(memory):
    memory.buf[:5] = bytes(memory.buf[:5]).upper()


def make(name, queue):
    memory = shm.SharedMemory(name, create=True, size=300_000)
    memory.buf[:4] = b"made"
    memory.buf[-1] = 7
    memory.close()
    queue.put(memory.name)


def shown(name):
    memory = shm.SharedMemory(name)
    found = bytes(memory.buf[:4]), memory.buf[299_999]
    memory.close()
    return found


def opens(name):
    try:
        shm.SharedMemory(name).close()
    except FileNotFoundError as error:
        return f"{type(error).__name__} {error.errno}"
    return "opened"


def try_all(name, conn):
    """What goes wrong goes wrong as on one machine."""
    said = [opens(name), opens("nobody_made_this")]
    try:
        shm.SharedMemory(name, create=True, size=10)
    except FileExistsError as error:
        said.append(f"{type(error).__name__} {error.errno}")
    shm.SharedMemory(name).unlink()
    said.append(opens(name))
    try:
        shm.SharedMemory(name, create=True, size=0)
    except ValueError as error:
        said.append(str(error))
    again = shm.SharedMemory(name, create=True, size=10)
    said.append(bytes(again.buf[:10]))
    again.buf[0] = 9
    again.close()
    conn.send(said)


def remember(name):
    global block
    block = shm.SharedMemory(name)


def add(amount):
    return block.buf[0] + amount


def result(number):
    memory = shm.SharedMemory(create=True, size=100)
    memory.buf[:2] = bytes([number, number])
    memory.close()
    return memory.name


def by_name():
    name = f"contract_{os.getpid()}"
    memory = shm.SharedMemory(name, create=True, size=4000)
    print(run(write, name, b"hello"), bytes(memory.buf[:6]))
    print(run(upper, memory), bytes(memory.buf[:5]), memory.name == name, len(memory.buf))
    here, there = mp.Pipe()
    print(run(try_all, name, there), here.recv())
    print(bytes(memory.buf[:5]))
    memory.close()
    memory = shm.SharedMemory(name)
    print(memory.buf[0], opens(name))
    memory.unlink()
    print(opens(name), memory.buf[0])
    memory.close()


def made_elsewhere():
    queue = mp.Queue()
    for name in (None, f"elsewhere_{os.getpid()}"):
        maker = start(make, name, queue)
        found = queue.get()
        maker.join()
        print(shown(found), run(write, found, b"more"), shown(found))
        shm.SharedMemory(found).unlink()
        print(opens(found))


def pools():
    memory = shm.SharedMemory(create=True, size=8)
    memory.buf[0] = 5
    with mp.Pool(2, remember, (memory.name,)) as pool:
        print(pool.map(add, range(4)))
        memory.buf[0] = 50
        print(pool.map(add, range(4)))
        made = pool.map(result, range(1, 4))
    memory.close()
    memory.unlink()
    # Those who made them are gone by now.
    for name in made:
        memory = shm.SharedMemory(name)
        print(list(memory.buf[:3]))
        memory.close()
        memory.unlink()


def last_look(conn):
    memory = shm.SharedMemory(conn.recv())
    conn.send("attached")
    conn.recv()
    conn.send(list(memory.buf[:2]))
    memory.buf[1] = 2
    conn.send("written")
    conn.recv()


def unlinked_while_attached():
    here, there = mp.Pipe()
    memory = shm.SharedMemory(create=True, size=64)
    memory.buf[0] = 1
    process = start(last_look, there)
    here.send(memory.name)
    print(here.recv())
    memory.unlink()
    print(opens(memory.name))
    here.send(None)
    print(here.recv(), here.recv(), list(memory.buf[:2]))
    here.send(None)
    process.join()
    memory.close()


def rename(names, queue):
    names[0] = "changed"
    names[2] = names[2] + 1
    queue.put((list(names), names.format))


def lists():
    names = shm.ShareableList(["first", 2.5, 3, None, b"raw", True])
    queue = mp.Queue()
    process = start(rename, names, queue)
    print(queue.get())
    process.join()
    print(list(names), names.count(True), names.index(4))
    names.shm.close()
    names.shm.unlink()


def fill(numbers, first, last):
    for at in range(first, last):
        numbers[at] = at * at


def managed():
    with SharedMemoryManager() as manager:
        numbers = manager.ShareableList([0] * 10)
        processes = [start(fill, numbers, 0, 5), start(fill, numbers, 5, 10)]
        for process in processes:
            process.join()
        print(list(numbers))
        memory = manager.SharedMemory(128)
        print(run(write, memory.name, b"managed"), bytes(memory.buf[:7]), memory.size)
        name = memory.name
    print(opens(name))


def polled(name, conn):
    """Made at the child, awaited by its parent without a word between them."""
    memory = shm.SharedMemory(name, create=True, size=1)
    memory.buf[0] = 77
    conn.recv()
    memory.close()


def is_whole(name):
    try:
        return opens(name) == "opened"
    except ValueError:
        # For a moment plain Python's has its name and no size yet.
        return False


def without_a_word():
    here, there = mp.Pipe()
    name = f"polled_{os.getpid()}"
    process = start(polled, name, there)
    while not is_whole(name):
        pass
    memory = shm.SharedMemory(name)
    while memory.buf[0] != 77:
        pass
    print(memory.buf[0])
    here.send(None)
    process.join()
    memory.close()
    memory.unlink()


class Table:
    """Cleans up after itself, when the interpreter ends if not before."""

    def __init__(self, name=None, **options):
        self.memory = shm.SharedMemory(name, **options)

    def __del__(self):
        self.memory.close()
        self.memory.unlink()


def until_the_end():
    global kept, found
    queue = mp.Queue()
    kept = Table(create=True, size=10)
    print(run(write, kept.memory.name, b"kept"), bytes(kept.memory.buf[:4]))
    maker = start(make, None, queue)
    found = Table(queue.get())
    maker.join()
    print(bytes(found.memory.buf[:4]))


def impossible():
    for name in ("a/b", "x" * 300):
        try:
            shm.SharedMemory(name, create=True, size=1)
        except OSError as error:
            print(error.errno)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    impossible()
    run(impossible)
    by_name()
    made_elsewhere()
    pools()
    unlinked_while_attached()
    lists()
    managed()
    without_a_word()
    until_the_end()
