"""Which thread is in the middle of an exchange with the store: what runs in it then gets a link aside."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transparent_mp.store.store import Store


class Exchange:
    """Marks the thread. Entered with the store's lock held."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> None:
        self._store._busy = threading.get_ident()

    def __exit__(self, *_exc: object) -> None:
        self._store._busy = 0
