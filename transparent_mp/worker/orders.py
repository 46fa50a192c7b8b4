"""The list in which a worker gets its orders, listened to in its selector.

A pop of the list is always outstanding. Its connection may be lost and made anew, with another fd.

It does not know what orders say.
"""

from __future__ import annotations

import contextlib
import selectors
from typing import Callable

from transparent_mp.errors import StoreError
from transparent_mp.store.store import Store


class Orders:
    """The orders in the list `key`; `obey` is given each, and says how many processes it has begun."""

    def __init__(
        self, store: Store, key: str, selector: selectors.BaseSelector, obey: Callable[[bytes], int]
    ) -> None:
        self._key = key
        self._selector = selector
        self._obey = obey
        self._line = store.watch()
        self._line.pop(key)
        self._fd = self._line.fileno()
        self._listen()

    def close(self) -> None:
        """End the connection without a word on it: in a fork, too."""
        self._line.close()

    def _listen(self) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(self._fd)
        self._fd = self._line.fileno()
        self._link = self._line.link
        self._selector.register(self._fd, selectors.EVENT_READ, self._on_readable)

    def _on_readable(self, _fd: object) -> int:
        begun = 0
        if self._line.collect():
            # A word that was found again after a loss makes no fd readable.
            while self._line.complete():
                (frame,) = self._line.answers()
                if not isinstance(frame, bytes):
                    raise StoreError(f"the store ended a worker's wait: {frame}")
                self._line.pop(self._key)
                begun += self._obey(frame)
        if self._line.link is not self._link:
            self._listen()
        return begun
