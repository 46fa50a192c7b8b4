"""Unmodified programs whose connections to the store are cut again and again print what they print."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import transparent_mp
from faults.proxy import Proxy, Seeded

PROGRAM = """
    import multiprocessing as mp, sys
    from concurrent.futures import ProcessPoolExecutor

    def square(number):
        return number * number

    def count(value, lock, times):
        for _ in range(times):
            with lock:
                value.value += 1

    def echo(conn):
        while (message := conn.recv()) is not None:
            conn.send(message)

    def feed(queue, who):
        for number in range(60):
            queue.put((who, number))

    def meet(barrier, event, queue):
        barrier.wait()
        event.wait()
        queue.put("met")

    if __name__ == "__main__":
        with mp.Pool(2) as pool:
            print(sum(pool.map(square, range(120), chunksize=3)), pool.apply(square, (7,)))
        with ProcessPoolExecutor(2) as executor:
            print(sum(executor.map(square, range(40))))
        value, lock, queue = mp.Value("i", 0, lock=False), mp.Lock(), mp.Queue()
        counters = [mp.Process(target=count, args=(value, lock, 40)) for _ in range(2)]
        feeders = [mp.Process(target=feed, args=(queue, who)) for who in range(2)]
        for process in counters + feeders:
            process.start()
        got = [queue.get() for _ in range(120)]
        for process in counters + feeders:
            process.join()
        for who in range(2):
            print([number for sender, number in got if sender == who] == list(range(60)))
        print(value.value, [process.exitcode for process in counters + feeders])
        here, there = mp.Pipe()
        process = mp.Process(target=echo, args=(there,))
        process.start()
        for number in range(60):
            here.send(number)
            assert here.recv() == number
        big = b"x" * 3_000_000
        here.send(big)
        print(here.poll(60), here.recv() == big)
        here.send(None)
        process.join()
        barrier, event = mp.Barrier(3), mp.Event()
        waiters = [mp.Process(target=meet, args=(barrier, event, queue)) for _ in range(2)]
        for process in waiters:
            process.start()
        barrier.wait()
        event.set()
        print(queue.get(), queue.get())
        for process in waiters:
            process.join()
        with mp.Manager() as manager:
            shared = manager.dict()
            for number in range(20):
                shared[number] = number
            print(sum(shared.values()))
    """
EXPECTED = """\
568820 49
20540
True
True
80 [0, 0, 0, 0]
True True
met met
190
"""


@pytest.mark.parametrize("seed", range(2))
def test_a_program_under_cuts_prints_what_it_prints(proxy: Proxy, tmp_path: Path, seed: int) -> None:
    (tmp_path / "app.py").write_text(textwrap.dedent(PROGRAM))
    root = str(Path(transparent_mp.__file__).parents[1])
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TRANSPARENT_MP")}
    environ = {**clean, "PYTHONPATH": root, "TRANSPARENT_MP_REDIS_URL": proxy.url()}
    environ["TRANSPARENT_MP_WORKERS"] = "2"
    proxy.plan = Seeded(seed, rate=0.02)
    proxy.stall = 0.01
    command = [sys.executable, "-m", "transparent_mp", "app.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, EXPECTED), done.stderr
    assert done.stderr == ""
    assert sum(proxy.happened.values()) > 10
