"""A worker's control list as its supervisor hears it: a pop is always outstanding, on a line of its own.

A selector tells when something may have come, and nothing here waits for it. When the line's connection is
lost, the selector is given the next one's fd. It does not know what the words mean.
"""

from __future__ import annotations

import contextlib
import selectors
from collections.abc import Iterator
from typing import Any, Callable

from transparent_mp.errors import StoreError
from transparent_mp.store.store import Store

#: Seconds for a last word: the script that ends a session removes its keys and says so, and both are heard on
#: connections of their own. Longer: a worker whose store was emptied leaves later.
LAST = 1.0


class Control:
    """The list at `key`; `ready` is the selector's data for it."""

    def __init__(
        self, store: Store, key: str, selector: selectors.BaseSelector, ready: Callable[[Any], Any]
    ) -> None:
        self._line = store.watch()
        self._key = key
        self._selector = selector
        self._ready = ready
        self._line.pop(key)
        self._listen()
        # What was told on the shared line's connection when that ends, an exit, is told again at once.
        alarm = store.alarm()
        if alarm >= 0:
            selector.register(alarm, selectors.EVENT_READ, lambda _fd: store.mend())

    def words(self) -> Iterator[bytes]:
        """What has come whole; the fd was readable."""
        # While its socket is open: where a child has a copy of it, epoll goes on telling of its end, under a
        # number that the next one may have.
        with contextlib.suppress(KeyError):
            self._selector.unregister(self._fd)
        # Asked again each time: a word that was found after a loss makes no fd readable.
        while self._line.ready():
            if not self._line.collect():
                continue
            (word,) = self._line.answers()
            if not isinstance(word, bytes):
                raise StoreError(f"the store ended a worker's wait: {word}")
            self._line.pop(self._key)
            yield word
        self._listen()

    def last_words(self) -> list[bytes]:
        """What has come, or comes in a moment, when the store seems lost."""
        with contextlib.suppress(StoreError):
            return list(self.words()) if self._line.wait(LAST) else []
        return []

    def close(self) -> None:
        self._line.close()

    def drop(self) -> None:
        """In the child of a fork: leave the connection to the supervisor."""
        self._line.drop()

    def _listen(self) -> None:
        self._fd = self._line.fileno()
        self._selector.register(self._fd, selectors.EVENT_READ, self._ready)
