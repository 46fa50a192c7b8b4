"""Imports a package that workers lack, in one process after another, and prints what each waited for.

The package is beside this program only: its directory is put in front of `sys.path` here.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing as mp
import os
import sys
from typing import Any

COUNT = int(sys.argv[2])
FOLDER = sys.argv[1]


def counted(work: Any) -> tuple[int, Any]:
    from transparent_mp.primitives import session as sessions

    store = sessions.current().store
    before = store.waits
    result = work()
    return store.waits - before, result


def everything() -> int:
    names = [f"budgeted.part{number % 9}.m{number}" for number in range(COUNT)]
    return sum(importlib.import_module(name).n for name in names)


def nothing() -> int:
    missing = 0
    for name in ("budgeted_none", "budgeted_nor_this", "budgeted.nowhere"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            missing += 1
    return missing


def work(end: Any) -> None:
    end.send((counted(everything), counted(nothing), os.getpid()))


def after_a_message(end: Any) -> None:
    waits, _ = counted(lambda: importlib.import_module("budgeted"))
    end.recv()
    end.send((waits, counted(everything), counted(everything)))


def change(number: int, text: str) -> None:
    path = os.path.join(FOLDER, "budgeted", f"part{number % 9}", f"m{number}.py")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def run(target: Any, *messages: Any) -> Any:
    here, there = mp.Pipe()
    process = mp.Process(target=target, args=(there,))
    process.start()
    for message in messages:
        if callable(message):
            message()
        here.send(None)
    found = here.recv()
    process.join()
    return found


if __name__ == "__main__":
    mp.set_start_method("fork")
    sys.path.insert(0, FOLDER)
    found = {"first": run(work), "second": run(work)}
    change(0, "n = 1000")
    found["changed"] = run(work)
    found["changed back"] = (change(0, "n = 0"), run(work))[1]
    found["changed later"] = run(after_a_message, lambda: change(1, "n = 2001"))
    json.dump(found, sys.stdout)
