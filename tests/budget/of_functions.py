"""Counts the Python functions that an operation on shared primitives calls in its thread, and prints them."""

from __future__ import annotations

import json
import multiprocessing as mp
import sys
from typing import Any, Callable

#: Operations of one count.
TIMES = 50
FOUND: dict[str, float] = {}


def idle(end: Any, *_shared: Any) -> None:
    while end.recv():
        end.send(None)


def count(name: str, op: Callable[[], Any]) -> None:
    calls = 0

    def seen(_frame: Any, event: str, _arg: Any) -> None:
        nonlocal calls
        calls += event == "call"

    # What is looked up once is known.
    for _ in range(TIMES):
        op()
    # The fewest: who waits may look several times.
    fewest = float("inf")
    for _ in range(5):
        calls = 0
        sys.setprofile(seen)
        for _ in range(TIMES):
            op()
        sys.setprofile(None)
        fewest = min(fewest, calls / TIMES)
    FOUND[name] = fewest


def main() -> None:
    here, there = mp.Pipe()
    value, lock, queue = mp.Value("i", 0), mp.Lock(), mp.SimpleQueue()
    process = mp.Process(target=idle, args=(there, value, lock, queue))
    process.start()
    there.close()

    def pair() -> None:
        lock.acquire()
        lock.release()

    def section() -> None:
        with value.get_lock():
            value.value += 1

    def item() -> None:
        queue.put(1)
        queue.get()

    def echo() -> None:
        here.send(("step", 1))
        here.recv()

    for name, op in (("lock", pair), ("value", section), ("item", item), ("echo", echo)):
        count(name, op)
    here.send(None)
    process.join()


if __name__ == "__main__":
    mp.set_start_method("fork")
    main()
    json.dump(FOUND, sys.stdout)
