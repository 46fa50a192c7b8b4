"""A real fd that is readable exactly when a list in the store has an element.

    IDLE    nothing outstanding
    ARMED   a blocking look is outstanding on the watch's own link: its answer makes the fd readable

BLMOVE of a list's head onto itself blocks until there is one and takes nothing. Taking happens on
the same link, behind the look's answer, and arms again in the same write.
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Sequence

from transparent_mp.errors import StoreReplyError
from transparent_mp.store.link import Command, Reply
from transparent_mp.store.store import Store


class State(enum.Enum):
    """Whether a look is outstanding."""

    IDLE = "idle"
    ARMED = "armed"


class Watch:
    """Watches one list. Thread-safe."""

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key
        self._look: Command = ("BLMOVE", key, key, "LEFT", "LEFT", 0)
        self._lock = threading.Lock()
        self._state = State.IDLE
        self.link = store.watch()

    def arm(self) -> None:
        """See that the fd tells the truth from here on: also about what is there already."""
        with self._lock:
            if self._state is State.IDLE:
                self.link.send([("LLEN", self._key), self._look])
                self._state = State.ARMED
                self._store.waits += 1
                if self.link.read():
                    self.link.wait(None)

    def wait(self, timeout: float | None) -> bool:
        """Whether an element is there within `timeout` seconds."""
        self.arm()
        return self.link.wait(timeout)

    def take(self, timeout: float | None, then: Sequence[Command]) -> list[Reply] | None:
        """Pop the first element: [element, *replies of `then`], or None when the time is over."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self.arm()
            # Waited for without the lock: others may look at the fd meanwhile.
            if not self.link.wait(None if deadline is None else deadline - time.monotonic()):
                return None
            with self._lock:
                if not self.link.wait(0):
                    # Another thread of this process was faster.
                    continue
                self.link.read()
                self.link.send([("LPOP", self._key), *then, self._look])
                self._store.waits += 1
                replies = [self.link.read() for _ in range(1 + len(then))]
            for reply in replies:
                if isinstance(reply, StoreReplyError):
                    raise reply
            # None: another holder of this end was faster; its element is no longer ours to wait for.
            if replies[0] is not None:
                return replies
            if deadline is not None and time.monotonic() >= deadline:
                return None

    def close(self) -> None:
        """Give the link back. Its fd may have been duplicated, so it is closed, not used again."""
        self.link.close()
