"""Gives tasks the same large argument and prints what went through the store: {case: [in, out]}."""

from __future__ import annotations

import json
import multiprocessing as mp
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from transparent_mp.primitives import session as sessions

SIZE, TASKS = int(sys.argv[1]), 12


def add(table: Any, number: int) -> float:
    table[number] += 1
    return float(table[number])


def length(text: bytes, number: int) -> int:
    return len(text) + number


def moved() -> tuple[int, int]:
    text = sessions.current().store.ask("INFO", "stats").decode()
    stats = dict(line.split(":") for line in text.splitlines() if ":" in line)
    return int(stats["total_net_input_bytes"]), int(stats["total_net_output_bytes"])


def over_pool(task: Any, argument: Any) -> list[Any]:
    with mp.Pool(4) as pool:
        return pool.starmap(task, [(argument, number) for number in range(TASKS)], chunksize=1)


def over_executor(task: Any, argument: Any) -> list[Any]:
    with ProcessPoolExecutor(4) as executor:
        return list(executor.map(task, [argument] * TASKS, range(TASKS)))


if __name__ == "__main__":
    mp.set_start_method("fork")
    mp.Pool(1).terminate()
    found: dict[str, Any] = {}
    for name, run in {
        "pool": lambda: over_pool(add, np.zeros(SIZE // 8)),
        "pool, bytes": lambda: over_pool(length, b"x" * SIZE),
        "executor": lambda: over_executor(add, np.ones(SIZE // 8)),
    }.items():
        before = moved()
        result = run()
        after = moved()
        found[name] = {"in": after[0] - before[0], "out": after[1] - before[1], "result": result}
    json.dump(found, sys.stdout)
