"""Marks the thread that is in the middle of an exchange on a store's shared link.

A finaliser or signal handler that runs in it just then, and uses the store, gets a link aside. One that waits
for another thread would wait for ever, since that needs the store's lock: cycles are not collected meanwhile.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from transparent_mp import collector

if TYPE_CHECKING:
    from transparent_mp.store.store import Store

_ident = threading.get_ident


class Exchange:
    """Entered with the store's lock held."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> None:
        collector.hold_off()
        self._store._busy = _ident()

    def __exit__(self, *_exc: object) -> None:
        self._store._busy = 0
        collector.go_on()
