"""Starts processes beside a large global and prints what went through the store: {case: [in, out]}."""

from __future__ import annotations

import multiprocessing as mp
import os
import sys
from typing import Any

import numpy as np
from traffic import tell as tell_traffic

from transparent_mp.ship import contents

SIZE = int(sys.argv[1])
#: Of a type that pickles its buffer apart, as programs have it.
BIG = np.arange(SIZE // 8, dtype=float)


def leave(number: int) -> float:
    return number if number >= 0 else float(BIG[0])


def use(number: int) -> tuple[float, int]:
    return float(BIG[number]), os.getpid()


def tell(queue: Any, number: int) -> None:
    queue.put(use(number))


def pool(task: Any) -> Any:
    with mp.Pool(20) as workers:
        return workers.map(task, range(40), chunksize=1)


def several() -> list[float]:
    queue = mp.SimpleQueue()
    processes = []
    for number in range(3):
        # As at start(): each finds its own.
        BIG[1] = number
        processes.append(mp.Process(target=tell, args=(queue, 1)))
        processes[-1].start()
    found = sorted(queue.get()[0] for _ in processes)
    for process in processes:
        process.join()
    return found


if __name__ == "__main__":
    mp.set_start_method("fork")
    # As for one that is larger than what the store keeps.
    contents.KEEP = 0
    mp.SimpleQueue()
    with mp.Pool(2) as first:
        first.map(leave, range(2))
    tell_traffic(
        {
            "unused": lambda: pool(leave),
            "used": lambda: sorted(value for value, _ in pool(use)),
            "used again": lambda: sorted(value for value, _ in pool(use)),
            "changed": several,
        }
    )
