"""Flow control of one sending end: a fast sender is held back before the store fills.

A kernel pipe blocks a writer that is 64 KiB ahead of its reader; ours lets it be WINDOW bytes or
MESSAGES messages ahead. Every STEP bytes (or part of MESSAGES) a message asks to be acknowledged: its
receiver pushes a token into the sender's list when it takes that message. A sender whose window is
full pops a token before it sends on. So small messages cost nothing more, and a message larger than
the window is waited for until it was taken, as in a kernel pipe.

Queues do not use it: `put` on a queue without bound never blocks.
"""

from __future__ import annotations

from collections import deque

from transparent_mp.store.session import Session, new_id

#: Larger: more memory of the store for each pipe; smaller: more waits on a link with long round trips.
WINDOW = 4 * 1024 * 1024
#: A message of 100 bytes costs the store about as much again.
MESSAGES = 8192
#: A token for so many bytes: an unanswered push more for the receiver.
STEP = 256 * 1024

#: Seconds between looks whether anyone can still take what was sent: readers that die push no token.
LOOK_EVERY = 2.0


class Flow:
    """What one end has sent that was not taken yet."""

    def __init__(self, session: Session, peers: str) -> None:
        """`peers`: key of the holders of the receiving side."""
        self._session = session
        self._peers = peers
        self.name = new_id()
        self._key = session.keys("ack", self.name)
        self._open_bytes = self._open_messages = 0
        #: Bytes and messages that each awaited token stands for.
        self._awaited: deque[tuple[int, int]] = deque()
        self._bytes = self._messages = 0

    def asks(self, size: int) -> bool:
        """Count a message that is to be sent; whether it must ask to be acknowledged."""
        self._open_bytes += size
        self._open_messages += 1
        if self._open_bytes < STEP and self._open_messages < MESSAGES // 16:
            return False
        self._awaited.append((self._open_bytes, self._open_messages))
        self._bytes += self._open_bytes
        self._messages += self._open_messages
        self._open_bytes = self._open_messages = 0
        return True

    def wait(self) -> None:
        """Return when the window is open. Raises BrokenPipeError when nobody can take anything any more."""
        store = self._session.store
        while self._bytes > WINDOW or self._messages > MESSAGES:
            if store.pop(self._key, LOOK_EVERY) is not None:
                size, count = self._awaited.popleft()
                self._bytes -= size
                self._messages -= count
            elif not store.ask("EXISTS", self._peers):
                raise BrokenPipeError(32, "Broken pipe")

    def close(self) -> None:
        """Tokens that nobody waits for go."""
        if self._awaited:
            keys = self._session.keys
            self._session.store.soon(("DEL", self._key), ("SREM", keys("keys"), self._key))
