from __future__ import annotations

import socket
import textwrap
from multiprocessing import connection
from typing import Callable

import pytest

from transparent_mp.primitives.adapters import loky as adapter

PACKAGES = ["loky", "joblib.externals.loky"]

ON_WORKERS = """
import multiprocessing, os, socket
import {package} as loky
from {package}.process_executor import TerminatedWorkerError

def pid():
    return os.getpid()

if __name__ == "__main__":
    if CASE == "tasks":
        with loky.ProcessPoolExecutor(2) as executor:
            k = 7
            print(list(executor.map(lambda x: x * k, range(4))))
            from transparent_mp.store.keys import FIRST_PID
            print(executor.submit(pid).result() >= FIRST_PID)
    elif CASE == "reusable":
        first = loky.get_reusable_executor(max_workers=1)
        print(first.submit(pid).result() == first.submit(pid).result())
        print(loky.get_reusable_executor(max_workers=2) is first, first.submit(abs, -1).result())
    elif CASE == "crash":
        executor = loky.get_reusable_executor(max_workers=2)
        try:
            executor.submit(os._exit, 9).result()
        except TerminatedWorkerError as error:
            print("EXIT(9)" in str(error))
        print(loky.get_reusable_executor(max_workers=2).submit(abs, -2).result())
    elif CASE == "kill":
        executor = loky.ProcessPoolExecutor(1)
        reader, writer = multiprocessing.Pipe()
        blocked = executor.submit(block, reader, writer)
        print(reader.recv())
        executor.shutdown(kill_workers=True)
        print(type(blocked.exception()).__name__)
    elif CASE == "connection":
        reader, writer = multiprocessing.Pipe(duplex=False)
        with loky.ProcessPoolExecutor(1) as executor:
            executor.submit(writer.send, "by store").result()
            print(reader.recv())
    elif CASE == "socket":
        with loky.ProcessPoolExecutor(1) as executor:
            error = executor.submit(print, socket.socket()).exception()
            print(type(error).__name__, "belongs to the machine" in str(error.__cause__))
    elif CASE == "environ":
        with loky.ProcessPoolExecutor(1, env={{"OF_LOKY": "7"}}) as executor:
            print(executor.submit(os.getenv, "OF_LOKY").result(), os.getenv("OF_LOKY"))
    elif CASE == "primitives":
        context = loky.backend.get_context("loky")
        queue, event, lock = context.Queue(), context.Event(), context.Lock()
        process = context.Process(target=wait, args=(queue, event, lock))
        process.start()
        event.set()
        print(queue.get(timeout=20))
        process.join()
        print(process.exitcode)
"""
HEAD = """
def block(reader, writer):
    writer.send("running")
    writer.recv()

def wait(queue, event, lock):
    with lock:
        queue.put(event.wait(20))
"""
WANT = {
    "tasks": "[0, 7, 14, 21]\nTrue\n",
    "reusable": "True\nTrue 1\n",
    "crash": "True\n2\n",
    "kill": "running\nShutdownExecutorError\n",
    "connection": "by store\n",
    "socket": "PicklingError True\n",
    "environ": "7 None\n",
    "primitives": "True\n0\n",
}


@pytest.mark.parametrize("case", WANT)
@pytest.mark.parametrize("package", PACKAGES)
def test_loky_runs_on_workers(program: Callable[..., str], package: str, case: str) -> None:
    pytest.importorskip(package)
    app = f"CASE = {case!r}\n{HEAD}" + textwrap.dedent(ON_WORKERS.format(package=package))
    assert program(app, "-W", "ignore", "-m", "transparent_mp", "app.py") == WANT[case]


def test_reducers_that_send_descriptors_are_replaced() -> None:
    table = adapter.reducers({connection.Connection: repr, socket.socket: repr, set: list})
    assert table[set] is list
    assert connection.Connection not in table
    with socket.socket() as one, pytest.raises(TypeError, match="belongs to the machine"):
        table[socket.socket](one)


@pytest.mark.parametrize("package", PACKAGES)
def test_uninstall_gives_the_originals_back(program: Callable[..., str], package: str) -> None:
    pytest.importorskip(package)
    app = f"""
        import {package}.backend.queues as queues, {package}.backend.process as process
        from transparent_mp import intercept
        ours = queues.Queue, process.LokyProcess._Popen
        intercept.uninstall()
        print([a is b for a, b in zip(ours, (queues.Queue, process.LokyProcess._Popen))])
        print(queues.Queue.__mro__[1].__name__, process.LokyProcess._Popen.__module__)
        with __import__("{package}", fromlist=["_"]).ProcessPoolExecutor(1) as executor:
            pass
    """
    lines = program(app, "-W", "ignore", "-m", "transparent_mp", "app.py").splitlines()
    assert lines[0] == "[False, False]"
    assert lines[1].endswith(f" {package}.backend.process")
