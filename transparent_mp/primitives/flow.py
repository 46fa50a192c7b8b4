"""Flow control of one sending end: a fast sender is held back before the store fills.

A kernel pipe blocks a writer that is 64 KiB ahead of its reader; ours lets it be WINDOW bytes or
MESSAGES messages ahead. Every STEP bytes (or part of MESSAGES) a message asks to be acknowledged: its
receiver pushes a token into the sender's list when it takes that message. The sender sends for its
tokens whenever it asks for one, without waiting; only when its window is full it waits for them, before
it sends on. So small messages cost nothing more, and a message larger than the window is waited for until
it was taken, as in a kernel pipe.

What waits is a pipe's `send`, or the feeder thread of a queue, whose `put` never blocks (`queues`). Where
many processes may send, their windows shrink, so that a queue's share of the store stays bounded.

Tokens of a receiver that died between taking a message and saying so are not missed for long: when the
last message that asked is not in the list any more, everything before it was taken.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Any

from transparent_mp.store.link import Command
from transparent_mp.store.session import Session, new_id

#: Larger: more memory of the store for each pipe; smaller: more waits on a link with long round trips.
WINDOW = 4 * 1024 * 1024
#: A message of 100 bytes costs the store about as much again.
MESSAGES = 8192
#: Tokens in a window. More: an unanswered push more for the receiver; fewer: a sender that is held back goes
#: on later.
STEPS = 16
STEP = WINDOW // STEPS
#: Senders into one list that have a whole window each; more share as many windows, down to a step each.
#: Larger: more memory of the store for each queue; smaller: many producers wait earlier.
WINDOWS = 16

#: Seconds between looks whether what was sent can still be taken, and by then was: readers that die push no
#: token. Since the store has to search its list for that, it does at the 1st, 2nd, 4th ... look in vain only,
#: and at each that is a multiple of SEARCH. Larger: more is seen late; smaller: more searches of long lists.
LOOK_EVERY = 2.0
SEARCH = 32


class Flow:
    """What one end has sent that was not taken yet. Thread-safe."""

    def __init__(self, session: Session, outbound: str, peers: str, own: str) -> None:
        """`outbound`: list that is sent to; `peers`, `own`: holders of the receiving and of this side."""
        self._session = session
        self._outbound = outbound
        self._peers = peers
        self._own = own
        # Re-entrant: a signal handler or finaliser may send, and the store's answers come in any thread.
        self._lock = threading.RLock()
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self.name = new_id()
        self._key = self._session.keys("ack", self.name)
        self._share = 1.0
        self._open_bytes = self._open_messages = 0
        #: Bytes and messages that each awaited token stands for.
        self._awaited: deque[tuple[int, int]] = deque()
        self._bytes = self._messages = 0
        self._last = b""
        self._known = False
        self._asked = 0
        #: Whether tokens were sent for, and nothing was waited for since.
        self._sent_for = False

    def count(self, size: int) -> str:
        """Count a message that is to be sent; the list that it must ask to be acknowledged in, or ''."""
        with self._lock:
            self._open_bytes += size
            self._open_messages += 1
            if self._open_bytes < STEP and self._open_messages < MESSAGES // STEPS:
                return ""
            if self._pid != os.getpid():
                # What came along with a fork is the parent's, and so are its tokens.
                self._begin()
                return self.count(size)
            self._awaited.append((self._open_bytes, self._open_messages))
            self._bytes += self._open_bytes
            self._messages += self._open_messages
            self._open_bytes = self._open_messages = 0
            known, self._known = self._known, True
        if not known:
            self._make_known()
        return self.name

    def _make_known(self) -> None:
        session, keys = self._session, self._session.keys
        acks = keys("acks", session.uid)
        session.store.cast(
            ("SADD", acks, self.name), ("PEXPIRE", acks, session.ttl), ("SADD", keys("keys"), acks, self._key)
        )

    def asked(self, message: bytes) -> None:
        """A message that asks was sent: send for the tokens that are there."""
        self._last = message
        store = self._session.store
        if self._asked % STEPS == 0:
            store.cast(("SCARD", self._own), on_reply=self._divide)
        self._asked += 1
        # Of a full window they are waited for.
        if not self._full():
            self._sent_for = True
            store.cast(("LPOP", self._key, STEPS), on_reply=self._take)

    def opens(self) -> bool:
        """Whether more may be sent, without waiting for who takes it."""
        if self._full() and self._pid == os.getpid():
            # Behind it the answers to what was sent for have come.
            self._sent_for = False
            self._take(self._session.store.ask("LPOP", self._key, STEPS))
        return not self._full()

    def wait(self) -> None:
        """Return when the window is open. Raises BrokenPipeError when nobody can take anything any more."""
        share = self._share
        if self._bytes <= WINDOW * share and self._messages <= MESSAGES * share:
            return
        if self._pid != os.getpid():
            self._begin()
        store, looks = self._session.store, 0
        # Tokens that an answer under way brings would be waited for in vain.
        while self._full() and not (self._sent_for and self.opens()):
            found = store.pop(self._key, LOOK_EVERY, [("LPOP", self._key, STEPS)])
            if found is not None:
                token, more = found
                self._take([token, *(more or ())])
                looks = 0
                continue
            looks += 1
            self._look(search=looks & (looks - 1) == 0 or looks % SEARCH == 0)

    def close(self) -> None:
        """Tokens that nobody waits for go, and no more come."""
        if self._known and self._pid == os.getpid():
            keys = self._session.keys
            self._session.store.soon(
                ("DEL", self._key),
                ("SREM", keys("keys"), self._key),
                ("SREM", keys("acks", self._session.uid), self.name),
            )

    def _full(self) -> bool:
        return self._bytes > WINDOW * self._share or self._messages > MESSAGES * self._share

    def _take(self, tokens: Any) -> None:
        if not isinstance(tokens, list):
            return
        with self._lock:
            # Late ones may come for what was found to be taken.
            for _ in tokens[: len(self._awaited)]:
                size, count = self._awaited.popleft()
                self._bytes -= size
                self._messages -= count

    def _divide(self, senders: Any) -> None:
        if isinstance(senders, int):
            self._share = min(1.0, max(1 / STEPS, WINDOWS / max(1, senders)))

    def _look(self, *, search: bool) -> None:
        last = self._last
        commands: list[Command] = [("EXISTS", self._peers)]
        if search:
            commands.append(("LPOS", self._outbound, last))
        peers, *place = self._session.store.call(*commands)
        if not peers:
            raise BrokenPipeError(32, "Broken pipe")
        with self._lock:
            if place == [None] and last is self._last:
                self._awaited.clear()
                self._bytes = self._messages = 0
