from __future__ import annotations

from typing import Callable

import pytest

pytest.importorskip("multiprocess")

HEAD = """
import os, sys
import multiprocess as mp
from multiprocess.shared_memory import SharedMemory
from transparent_mp.store.keys import FIRST_PID

k = 7

def talk(conn):
    f = conn.recv()
    conn.send((os.getpid() >= FIRST_PID, mp.current_process().name, os.getpid() == mp.current_process().pid))
    conn.send(lambda x: f(x) + 1)
    conn.close()

def count(lock, value, array, event, condition):
    with lock:
        value.value += 1
        array[0] += 2
    event.wait(60)
    with condition:
        condition.notify()

def work(queue):
    for job in iter(queue.get, None):
        print(job())
        queue.task_done()
    queue.task_done()

def fill(name):
    memory = SharedMemory(name)
    memory.buf[0] = 9
    memory.close()

def serve(d, q):
    d["made"] = lambda: 4
    q.put(lambda: 5)

def inner(q):
    with mp.Pool(1) as pool:
        q.put(pool.apply(lambda: os.getppid() >= FIRST_PID))

if __name__ == "__main__":
    ctx = mp.get_context(METHOD)
"""

CASES = {
    "pool": (
        """
    with ctx.Pool(2, initializer=lambda: None) as pool:
        print(pool.map(lambda x: x * k, range(4)), sorted(pool.imap_unordered(lambda x: -x, range(3))))
        print(pool.apply_async(lambda: (lambda y: y + 1)).get(60)(3), pool.apply(os.getpid) >= FIRST_PID)
        try:
            pool.apply(lambda: 1 / 0)
        except ZeroDivisionError as error:
            print(error)
    """,
        "[0, 7, 14, 21] [-2, -1, 0]\n4 True\ndivision by zero\n",
    ),
    "pipe": (
        """
    here, there = ctx.Pipe()
    p = ctx.Process(target=talk, args=(there,))
    p.start()
    there.close()
    here.send(lambda x: x * k)
    print(*here.recv())
    print(here.recv()(2), isinstance(here, mp.connection.Connection))
    p.join()
    try:
        here.recv()
    except EOFError:
        print("end", p.exitcode, mp.active_children())
    """,
        "True {method}Process-1 True\n15 True\nend 0 []\n",
    ),
    "locks": (
        """
    lock, value, event = ctx.Lock(), ctx.Value("i", 3), ctx.Event()
    array, condition = ctx.Array("d", 2), ctx.Condition()
    ps = [ctx.Process(target=count, args=(lock, value, array, event, condition)) for _ in range(2)]
    with condition:
        [p.start() for p in ps]
        event.set()
        print(condition.wait(60))
    [p.join() for p in ps]
    print(value.value, array[:], [p.exitcode for p in ps])
    """,
        "True\n5 [4.0, 0.0] [0, 0]\n",
    ),
    "queues": (
        """
    queue = ctx.JoinableQueue()
    for job in (lambda: "before", None):
        queue.put(job)
    p = ctx.Process(target=work, args=(queue,))
    p.start()
    queue.join()
    p.join()
    queue, simple = ctx.Queue(), ctx.SimpleQueue()
    p = ctx.Process(target=serve, args=({}, queue))
    p.start()
    print(queue.get()(), type(queue).__module__)
    simple.put(lambda: 6)
    print(simple.get()())
    p.join()
    """,
        "before\n5 multiprocess.queues\n6\n",
    ),
    "memory": (
        """
    memory = SharedMemory(create=True, size=10)
    p = ctx.Process(target=fill, args=(memory.name,))
    p.start()
    p.join()
    print(memory.buf[0])
    memory.close()
    memory.unlink()
    """,
        "9\n",
    ),
    "manager": (
        """
    with ctx.Manager() as manager:
        d, q = manager.dict(), manager.Queue()
        p = ctx.Process(target=serve, args=(d, q))
        p.start()
        print(q.get()())
        p.join()
        print(d["made"](), p.exitcode)
    """,
        "5\n4 0\n",
    ),
    "nested": (
        """
    queue = ctx.Queue()
    p = ctx.Process(target=inner, args=(queue,))
    p.start()
    print(queue.get())
    p.join()
    """,
        "True\n",
    ),
}


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("case", CASES)
def test_multiprocess_runs_on_workers(program: Callable[..., str], case: str, method: str) -> None:
    body, want = CASES[case]
    app = HEAD.replace("METHOD", repr(method)) + body
    got = program(app, "-W", "ignore", "-m", "transparent_mp", "app.py")
    assert got == want.format(method=method.capitalize())


def test_function_of_a_task_finds_a_global_that_nothing_had_named(program: Callable[..., str]) -> None:
    app = """
        import multiprocess as mp
        if __name__ == "__main__":
            late = 7
            with mp.Pool(1) as pool:
                print(pool.map(lambda x: x + late, range(2)))
                print(pool.apply(lambda: (lambda: [globals()["late"]])()))
    """
    assert program(app, "-W", "ignore", "-m", "transparent_mp", "app.py") == "[7, 8]\n[7]\n"


def test_what_outlives_main_ends_in_silence(program: Callable[..., str]) -> None:
    # Dill keeps `__main__`, and with it what is in it, until modules are gone.
    app = """
        import dill, multiprocessing
        def child(queue, array):
            queue.put(array[0])
        if __name__ == "__main__":
            queue, array = multiprocessing.Queue(), multiprocessing.Array("i", 2)
            pipe = multiprocessing.Pipe()
            process = multiprocessing.Process(target=child, args=(queue, array))
            process.start()
            print(queue.get())
            process.join()
    """
    assert program(app, "-W", "ignore", "-m", "transparent_mp", "app.py") == "0\n"


def test_uninstall_gives_the_originals_back(program: Callable[..., str]) -> None:
    app = """
        import multiprocess, multiprocess.queues as queues, multiprocess.synchronize as synchronize
        from transparent_mp import intercept
        ours = queues.Queue, synchronize.Lock, multiprocess.context.ForkProcess._Popen
        intercept.uninstall()
        theirs = queues.Queue, synchronize.Lock, multiprocess.context.ForkProcess._Popen
        print([a is b for a, b in zip(ours, theirs)], [one.__module__ for one in theirs])
        with multiprocess.Pool(1) as pool:
            print(pool.map(lambda x: x + 1, [1]))
    """
    modules = ["multiprocess.queues", "multiprocess.synchronize", "multiprocess.context"]
    want = f"[False, False, False] {modules}\n[2]\n"
    assert program(app, "-W", "ignore", "-m", "transparent_mp", "app.py") == want
