from __future__ import annotations

import sys
import types
from typing import Callable

import pytest

from transparent_mp.originals import original
from transparent_mp.primitives.adapters import billiard as adapter


def test_the_leaf_is_that_of_plain_python() -> None:
    stock = sys.modules["_multiprocessing"]
    restored = adapter.leaf(stock)
    assert type(restored.SemLock(1, 1, 1, "/tmp_billiard_test", True)) is original(
        "_multiprocessing", "SemLock"
    )
    assert restored.SemLock.sem_unlink is original("_multiprocessing", "sem_unlink")
    compiled = types.ModuleType("_billiard")
    assert adapter.leaf(compiled) is compiled


def test_processes_stay_here_and_their_locks_hold(program: Callable[..., str]) -> None:
    pytest.importorskip("billiard")
    app = """
        import billiard
        def child(queue, lock, held, value):
            with lock:
                value.value += 1
            queue.put(held.acquire(False))
        if __name__ == "__main__":
            queue, value = billiard.Queue(), billiard.Value("i", 0)
            lock, held = billiard.Lock(), billiard.Lock()
            held.acquire()
            given = queue, lock, held, value
            ps = [billiard.Process(target=child, args=given) for _ in range(2)]
            [p.start() for p in ps]
            print(sorted(queue.get() for p in ps), held.acquire(False), [p.join() for p in ps], value.value)
            with billiard.Pool(1) as pool:
                print(pool.map(abs, [-1]))
    """
    got = program(app, "-W", "ignore", "-m", "transparent_mp", "app.py")
    assert got == "[False, False] False [None, None] 2\n[1]\n"
