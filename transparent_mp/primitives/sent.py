"""What is known of the messages that one end has sent: whether anybody is left to read them.

A send does not wait for the store's answer. It looks for that to the one before when some time has gone
by since, so that a burst costs no look at each, and a sender of now and then is told by its next message.
Who waits for what comes back looks meanwhile, so that its next message need not.
"""

from __future__ import annotations

import time
from typing import Any

from transparent_mp.store.store import Store

#: Seconds after which a send looks for the answer to the one before. Smaller: a read for nearly every
#: send of a burst; larger: more may be sent to nobody.
LOOK_AFTER = 0.002


class Sent:
    """What the answers to an end's pushes have told; does not keep the end alive until they come."""

    __slots__ = ("_last", "_late", "_unanswered", "broken")

    def __init__(self) -> None:
        self.broken = False
        self._unanswered = 0
        self._last = 0.0
        # Whether the last was sent so much after the one before that its answer was looked for.
        self._late = False

    def __call__(self, length: Any) -> None:
        self._unanswered -= 1
        if length == -1:
            self.broken = True

    def begin(self, store: Store) -> None:
        """A push follows. Raises BrokenPipeError when nobody would read it."""
        now = time.monotonic()
        self._late = now - self._last >= LOOK_AFTER
        if self._unanswered > 0 and self._late:
            store.look()
        if self.broken:
            raise BrokenPipeError(32, "Broken pipe")
        self._unanswered += 1
        self._last = now

    def look(self, store: Store, _waited: float) -> None:
        """At the beginning of a wait for what comes back; see `store.pops.Looks`."""
        if self._late and self._unanswered > 0:
            store.look()
