"""Counts, in the process and thread that does an operation, what it sent to the store and waited for."""

from __future__ import annotations

import gc
import threading
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Callable

from transparent_mp.primitives import session as sessions
from transparent_mp.store.link import Link
from transparent_mp.store.store import Store

#: Thread -> [waits, commands].
_counts: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
_write = Link.write


def _counting_write(self: Link, packs: Sequence[Any]) -> None:
    # Every command is one of them, whoever sends it.
    _counts[threading.get_ident()][1] += len(packs)
    _write(self, packs)


def begin() -> None:
    """Count from here on, in this process. Once more does nothing."""
    Link.write = _counting_write  # type: ignore[method-assign]
    store = sessions.current().store
    store.__class__ = _CountingStore


class _CountingStore(Store):
    # A process's other threads (inbox, exchange) wait as well: `waits += 1` goes to the thread's own.
    @property
    def waits(self) -> int:  # type: ignore[override]
        return _counts[threading.get_ident()][0]

    @waits.setter
    def waits(self, value: int) -> None:
        _counts[threading.get_ident()][0] = value


def now() -> tuple[int, int]:
    """Waits and commands of this thread since `begin`."""
    begin()
    waits, commands = _counts[threading.get_ident()]
    return waits, commands


def of(*threads: int | None) -> tuple[int, int]:
    """Those of other threads of this process, together."""
    begin()
    found = [_counts[thread or 0] for thread in threads]
    return sum(waits for waits, _ in found), sum(commands for _, commands in found)


def count(
    op: Callable[[], Any],
    before: Callable[[], Any] = lambda: None,
    look: Callable[[], tuple[int, int]] = now,
    times: int = 4,
) -> dict[str, float]:
    """Waits and commands of one `op`; each comes after a `before`, which is not counted."""
    before()
    op()
    waits = commands = 0
    gc.collect()
    # A finaliser would send in our name.
    gc.disable()
    try:
        for _ in range(times):
            before()
            was = look()
            op()
            after = look()
            waits += after[0] - was[0]
            commands += after[1] - was[1]
    finally:
        gc.enable()
    return {"waits": waits / times, "commands": commands / times}
