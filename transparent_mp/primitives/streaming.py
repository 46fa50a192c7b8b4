"""Messages of a queue fetched several at once, for a client that takes one after the other.

Who takes them one by one waits a round trip for each. A client that takes them quickly fetches what lies
there, up to as many as it has just taken in a row.

    asked     by a command whose answer brings them, whoever reads that: an interrupted wait loses none
    here      nobody else can have them; taken one by one, in their order
    back      at the head of the list: before whatever another process waits for (a message, a lock given up,
              a start), so that what it then takes is what comes next; and when none was taken for a few
              milliseconds

Only the client, whose end is the session's: what is here is not lost with a process that is killed. Not while
shared memory follows each message, whose fetches go with the pop, nor once an fd is asked for, which tells
of what is in the list.

It does not know what is in a message.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
from collections import deque
from itertools import islice
from typing import Any, Callable

from transparent_mp import background
from transparent_mp.errors import StoreError
from transparent_mp.primitives import memory
from transparent_mp.store.busy import unless_taken
from transparent_mp.store.link import Command
from transparent_mp.store.session import Session

#: Seconds between one message and the wait for the next, within which they are taken in a row. Larger: more
#: is held by who does something else in between.
QUICK = 0.0002
#: Messages in a row from which on more are fetched, and how many at most. Larger: more may be held back from
#: others for as long as this process lets no thread run.
ROW, MOST = 32, 64
#: Bytes fetched at once, as far as those before tell. Larger: the store keeps more for an answer that is
#: lost.
ROOM = 256 * 1024
#: Seconds between looks whether something has been taken since. A process that computes is not asked.
LOOK_EVERY = 0.005
_NEVER = object()


class Stream:
    """What has been fetched from one list. Thread-safe."""

    def __init__(self, session: Session, key: str) -> None:
        self._session = session
        self._key = key
        # What comes along with a fork is the parent's.
        self._pid = os.getpid()
        # Re-entrant: a signal handler may take something. Held while what was here is given back.
        self._lock = threading.RLock()
        self._here: deque[bytes] = deque()
        self._next = iter(self._here.popleft, _NEVER)
        self._row = self._number = 0
        self._left = 0.0
        self._size = 1
        # Takes from the list that are still to come before it is asked for several, after it had none.
        self._pause = self._pauses = 0
        self._watched = self._ended = False
        # Whether some were asked for that have not come.
        self._asked = False
        self._holding = threading.Event()

    def take(self, found: list[Any]) -> bool:
        """Whether `found` has the next message: it is here, or lay there with others."""
        if self._pid != os.getpid():
            return False
        self._number += 1
        self._row = self._row + 1 if time.monotonic() - self._left < QUICK else 0
        if self._locked(self._taken, found):
            return True
        if self._row < ROW or self._size > ROOM // 2 or memory.fetch():
            return False
        if self._pause:
            self._pause -= 1
            return False
        self._ask()
        # One that is slow to fill is asked seldom.
        self._pauses = 0 if len(self._here) > 1 else min(2 * self._pauses + 1, MOST)
        self._pause = self._pauses
        return self._locked(self._taken, found)

    def left(self, size: int) -> None:
        """A message of that size goes to the program."""
        # Of larger ones at once, of smaller ones by and by.
        self._size = max(size, self._size - (self._size >> 4))
        self._left = time.monotonic()

    def restored(self, found: list[Any]) -> bool:
        """Put back what `found` has, before what is here; False when nothing is."""
        return self._pid == os.getpid() and self._locked(self._restored, found)

    def __len__(self) -> int:
        return len(self._here) if self._pid == os.getpid() else 0

    def give_back(self) -> None:
        """Nothing is here any more, and who waits for it finds it in the list."""
        if self._watched and self._pid == os.getpid():
            self._locked(self._given_back)
            self._session.store.settle()

    def release(self) -> None:
        """The same behind which the next command is sent; they are not taken in a row."""
        self._row = 0
        if self._here or self._asked:
            self._locked(self._given_back)

    def end(self) -> None:
        """The same of an end that is closed; for a finaliser, which takes no lock."""
        self._ended = True
        _streams.discard(self)
        self._holding.set()
        if self._pid == os.getpid() and (messages := self._all()):
            self._session.store.soon(*self._back(messages))

    def _locked(self, work: Callable[..., bool], *args: Any) -> bool:
        if self._session.store.amid():
            # Whoever has the lock may wait for the very exchange that this thread is in the middle of.
            return unless_taken(self._lock, functools.partial(work, *args))
        with self._lock:
            return work(*args)

    def _taken(self, found: list[Any]) -> bool:
        if not self._here:
            return False
        # In one step that no signal handler can divide.
        found.extend(islice(self._next, 1))
        return True

    def _restored(self, found: list[Any]) -> bool:
        if not found or not self._here:
            return False
        self._here.appendleft(found.pop(0))
        return True

    def _given_back(self) -> bool:
        store = self._session.store
        if self._asked:
            store.settle()
        given: list[bool] = []
        messages = self._all()
        try:
            if messages:
                store.cast(*self._back(messages), given=given)
        finally:
            if messages:
                store.returning = True
            if not given:
                self._here.extendleft(reversed(messages))
        return True

    def _all(self) -> list[bytes]:
        messages: list[bytes] = []
        # Of two at once each has some.
        with contextlib.suppress(IndexError):
            messages.extend(islice(self._next, len(self._here)))
        return messages

    def _back(self, messages: list[bytes]) -> tuple[Command, Command]:
        push: Command = ("LPUSH", self._key, *reversed(messages))
        return push, ("PEXPIRE", self._key, self._session.ttl)

    def _ask(self) -> None:
        if not self._watched:
            self._watched = True
            background.start(self._look)
        store = self._session.store
        _streams.add(self)
        self._asked = True
        try:
            count = min(self._row, MOST, ROOM // max(1, self._size))
            store.cast(("LPOP", self._key, count), on_reply=self._came)
        finally:
            self._holding.set()
        store.waits += 1
        store.settle()

    def _came(self, messages: Any) -> None:
        if isinstance(messages, list):
            # Told twice it finds none the second time; in one step, as above.
            self._here.extend(islice(iter(functools.partial(messages.pop, 0), _NEVER), len(messages)))
        # What is interrupted is told again.
        self._asked = False

    def _look(self) -> None:
        while not self._ended:
            self._holding.wait()
            number = self._number
            time.sleep(LOOK_EVERY)
            # Whoever takes the next one meets the same trouble.
            with contextlib.suppress(StoreError), self._lock:
                if number == self._number and not self._ended:
                    self._holding.clear()
                    self._given_back()


#: Those that have asked for several messages.
_streams: set[Stream] = set()


def _release() -> None:
    for stream in tuple(_streams):
        stream.release()


memory.on_release(_release)
# What is here is the parent's.
os.register_at_fork(after_in_child=_streams.clear)
