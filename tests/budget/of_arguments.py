"""Gives tasks the same large argument and prints what went through the store: {case: [in, out]}."""

from __future__ import annotations

import multiprocessing as mp
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
from traffic import tell as tell_traffic

SIZE, TASKS = int(sys.argv[1]), 12


def add(table: Any, number: int) -> float:
    table[number] += 1
    return float(table[number])


def length(text: bytes, number: int) -> int:
    return len(text) + number


def over_pool(task: Any, argument: Any) -> list[Any]:
    with mp.Pool(4) as pool:
        return pool.starmap(task, [(argument, number) for number in range(TASKS)], chunksize=1)


def over_executor(task: Any, argument: Any) -> list[Any]:
    with ProcessPoolExecutor(4) as executor:
        return list(executor.map(task, [argument] * TASKS, range(TASKS)))


if __name__ == "__main__":
    mp.set_start_method("fork")
    mp.Pool(1).terminate()
    tell_traffic(
        {
            "pool": lambda: over_pool(add, np.zeros(SIZE // 8)),
            "pool, bytes": lambda: over_pool(length, b"x" * SIZE),
            "executor": lambda: over_executor(add, np.ones(SIZE // 8)),
        }
    )
