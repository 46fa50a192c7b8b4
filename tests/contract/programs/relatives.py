"""What parents, children and siblings know of each other: names, states, children, the parent's end."""

import multiprocessing as mp
import os
import sys
from multiprocessing import connection


def shown(process):
    """Its representation without the numbers."""
    return repr(process).replace(f"pid={process.ident}", "pid=PID").replace(str(os.getpid()), "PARENT")


def wait(conn):
    conn.recv()


def watch_parent(conn, report):
    """Outlives its parent, and sees it end."""
    parent = mp.parent_process()
    conn.send((parent.name, parent.is_alive(), parent.exitcode, connection.wait([parent.sentinel], 0)))
    conn.send((type(parent).__name__, parent.pid == os.getppid(), parent.ident == parent.pid, parent.daemon))
    for wrong in (parent.start, parent.terminate):
        try:
            wrong()
        except Exception as error:
            conn.send(type(error).__name__)
    conn.send(None)
    parent.join(30)
    ended = connection.wait([parent.sentinel], 0) == [parent.sentinel]
    report.send((parent.is_alive(), ended, parent.join(0.01)))


def leave_child(report, conn, how):
    here, there = mp.Pipe()
    child = mp.Process(target=watch_parent, args=(there, report), name="grandchild")
    child.start()
    for told in iter(here.recv, None):
        conn.send(told)
    conn.send([process.name for process in mp.active_children()])
    if how == "die":
        os._exit(3)
    conn.recv()


def tell_children(conn):
    conn.send((mp.active_children(), mp.parent_process().name, mp.current_process().name))
    child = mp.Process(target=wait, args=(conn,))
    child.start()
    conn.send(([child.name for child in mp.active_children()], child.name))
    child.join()
    conn.send(mp.active_children())


class Squares(mp.Process):
    """A subclass with state, a run of its own, and one method more."""

    total = 0

    def __init__(self, numbers, queue, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.numbers, self.queue = numbers, queue

    def square(self, number):
        self.total += number
        return number * number

    def run(self):
        self.queue.put([self.square(number) for number in self.numbers])
        self.queue.put(
            (self.name, self.total, self.pid == os.getpid(), self.exitcode, self.daemon, self is current())
        )
        super().run()


def current():
    return mp.current_process()


def say(queue, *args, **kwargs):
    queue.put((args, kwargs, current().name))


def states():
    here, there = mp.Pipe()
    process = mp.Process(target=wait, args=(there,))
    print(shown(process), process.name, process.pid, process.exitcode, process.is_alive(), process.daemon)
    for early in ("sentinel", "join", "close"):
        try:
            print(getattr(process, early) and "asked")
        except ValueError as error:
            print(early, error)
    process.name = "renamed"
    process.start()
    print(shown(process), process.is_alive())
    for wrong in (
        lambda: setattr(process, "daemon", True),
        lambda: setattr(process, "name", 5),
        process.close,
    ):
        try:
            wrong()
        except (AssertionError, ValueError) as error:
            print(type(error).__name__, error)
    print(process.join(0), process.join(0.02), process.exitcode)
    here.send("go")
    process.join()
    print(shown(process))
    print(process.exitcode, process.is_alive(), connection.wait([process.sentinel], 0) == [process.sentinel])
    process.join()
    process.close()
    process.close()
    print(repr(process).replace(str(os.getpid()), "PARENT"))
    for late in (
        process.join,
        process.is_alive,
        process.terminate,
        lambda: process.exitcode,
        lambda: process.pid,
    ):
        try:
            late()
        except ValueError as error:
            print(error)
    print(current().name, mp.parent_process(), mp.active_children())


def subclasses():
    queue = mp.Queue()
    process = Squares(
        range(4), queue, target=say, args=(queue, 1), kwargs={"two": 2}, name="squares", daemon=True
    )
    process.start()
    print(queue.get(), queue.get(), queue.get(), process.total)
    process.join()
    names = [Squares([], queue).name.partition("-")[0] for _ in range(2)]
    print(names, process.exitcode)


def children():
    here, there = mp.Pipe()
    process = mp.Process(target=tell_children, args=(there,), name="parent")
    process.start()
    print(here.recv(), here.recv())
    print([child.name for child in mp.active_children()])
    here.send("go")
    print(here.recv())
    process.join()
    print(mp.active_children())


def orphans(how):
    here, there = mp.Pipe()
    report, theirs = mp.Pipe()
    process = mp.Process(target=leave_child, args=(theirs, there, how), name=f"parent that {how}s")
    process.start()
    for _ in range(5):
        print(here.recv())
    if how == "kill":
        process.kill()
    print(report.recv())
    process.join()
    print(process.exitcode)


if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    states()
    subclasses()
    children()
    orphans("die")
    orphans("kill")
