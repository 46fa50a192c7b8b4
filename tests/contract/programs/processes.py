"""What a parent and its processes know of each other, and how they wait."""

import multiprocessing as mp
import os
import sys
from multiprocessing import connection


def describe(conn, parent, *args, **kwargs):
    me, above = mp.current_process(), mp.parent_process()
    conn.send((os.getpid(), me.pid, me.name, me.daemon, above.pid == parent, above.name, above.is_alive()))
    conn.send((args, kwargs, mp.get_start_method(), mp.active_children()))
    conn.recv()


def answer(conn):
    conn.send(conn.recv() + 1)


def grow(conn, depth):
    if depth == 0:
        conn.send([])
        return
    here, there = mp.Pipe()
    child = mp.Process(target=grow, args=(there, depth - 1), name=f"level-{depth - 1}")
    child.start()
    below = here.recv()
    child.join()
    conn.send([(child.name, child.exitcode, mp.parent_process().name), *below])


def try_a_child(conn):
    try:
        mp.Process(target=print).start()
    except AssertionError as error:
        conn.send(str(error))


def wait_for_ever(conn):
    conn.recv()


def speak_late(conn):
    conn.recv()
    print("a process that nobody joined, at the end")


class Counter(mp.Process):
    def __init__(self, conn, start):
        super().__init__(name="counter")
        self.conn = conn
        self.start_at = start

    def run(self):
        self.conn.send([self.start_at + step for step in range(3)])
        self.start_at = "the parent never sees this"


def knowledge():
    here, there = mp.Pipe()
    process = mp.Process(target=describe, args=(there, os.getpid(), 1), kwargs={"two": 2}, name="described")
    print(process.pid, process.exitcode, process.is_alive(), mp.parent_process())
    process.start()
    pid, own, *rest = here.recv()
    print(pid == own == process.pid != os.getpid(), *rest)
    print(*here.recv())
    print([child.name for child in mp.active_children()], process.ident == pid)
    process.join(0.01)
    print(process.exitcode, process.is_alive(), connection.wait([process.sentinel], 0.01))
    here.send(None)
    print(connection.wait([process.sentinel]) == [process.sentinel])
    process.join(30)
    print(process.exitcode, process.is_alive(), mp.active_children())
    process.close()
    try:
        process.is_alive()
    except ValueError as error:
        print(error)


def waiting():
    pairs = [mp.Pipe() for _ in range(3)]
    processes = [mp.Process(target=answer, args=(there,)) for _, there in pairs]
    for process in processes:
        process.start()
    for number in (2, 0, 1):
        here = pairs[number][0]
        here.send(number)
        # Either may come first; both come.
        awaited = {here, processes[number].sentinel}
        while awaited:
            awaited -= set(connection.wait(list(awaited), 30))
        processes[number].join()
        print(number, here.recv(), processes[number].exitcode)


def family():
    here, there = mp.Pipe()
    grow_process = mp.Process(target=grow, args=(there, 2), name="root")
    grow_process.start()
    print(here.recv())
    grow_process.join()
    daemon = mp.Process(target=try_a_child, args=(there,), daemon=True)
    daemon.start()
    print(daemon.daemon, here.recv())
    daemon.join()
    counter = Counter(there, 5)
    counter.start()
    print(here.recv(), counter.start_at, counter.name)
    counter.join()


def misuse():
    process = mp.Process(target=print)
    for wrong in (process.join, process.terminate):
        try:
            wrong()
        except (AssertionError, AttributeError) as error:
            print(type(error).__name__)
    process.start()
    try:
        process.start()
    except AssertionError as error:
        print(error)
    process.join()


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    knowledge()
    waiting()
    family()
    misuse()
    here, there = mp.Pipe()
    mp.Process(target=wait_for_ever, args=(there,), daemon=True).start()
    late, early = mp.Pipe()
    mp.Process(target=speak_late, args=(early,)).start()
    print("the end of the main program")
    sys.stdout.flush()
    late.send(None)
