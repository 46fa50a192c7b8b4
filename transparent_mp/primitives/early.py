"""A pop that is sent right behind a question, before the program asks for the answer.

Who sends to many processes and then receives from each would wait a round trip for every answer,
one after the other, although all of them are there. So an end that was answered once asks for the
next answer as soon as it has sent: then the answers come side by side.

Only for an end that no other process can read, since a message that was taken cannot be left to
another: both directions, moved to the store with its other end being handed over, and never pickled
itself. When it is pickled or watched after all, `end` puts back what had come.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from transparent_mp import background
from transparent_mp.errors import StoreReplyError
from transparent_mp.primitives import memory
from transparent_mp.primitives.brings import Brings
from transparent_mp.store.link import Command, Reply
from transparent_mp.store.pops import PopLine
from transparent_mp.store.store import Store


class Early:
    """The early pop of one list, whenever one is outstanding."""

    __slots__ = ("_answered", "_asked", "_came", "_key", "_link", "_pid", "_store", "_ttl", "brings")

    def __init__(self, store: Store, key: str, ttl: int) -> None:
        self._store = store
        self._key = key
        self._ttl = ttl
        self._pid = os.getpid()
        self._link: PopLine | None = None
        # Replies that have been read and not asked for.
        self._came: list[Reply] | None = None
        self._asked = self._answered = False
        #: What of shared memory comes with the answers, and whether `look` has given out what came.
        self.brings = Brings()

    def asked(self, then: Sequence[Command]) -> None:
        """A message was sent; `then` is to follow the pop of its answer."""
        self._asked = True
        if self._answered and self._link is None and self._came is None and self._pid == os.getpid():
            link = self._store.watch()
            link.pop(self._key, then)
            self.brings.looked = False
            self._link = link
            _outstanding.add(self)

    def missed(self) -> None:
        """A message was received without it: the next time it is sent for."""
        self._answered = self._asked

    def take(self, timeout: float | None) -> list[Reply] | None:
        """[element, *replies of `then`]; None when nothing is outstanding, or came in time."""
        came, self._came = self._came, None
        if came is None and self.poll(timeout):
            came, self._came = self._came, None
        _outstanding.discard(self)
        return came

    def look(self) -> Sequence[Reply]:
        """The replies of `then` if they have come, once; `take` gives them again, with the element."""
        if self._came is None and self._link is not None and self._pid == os.getpid() and self._link.wait(0):
            self.poll(0)
        if self._came is None or self.brings.looked:
            return ()
        self.brings.looked = True
        return self._came[1:]

    def poll(self, timeout: float | None) -> bool:
        """Whether the element is here within `timeout` seconds. False at once if nothing is outstanding."""
        if self._came is not None:
            return True
        # One thread waits on it at a time; another pops by itself.
        link, self._link = self._link, None
        if link is None:
            return False
        if self._pid != os.getpid():
            # What the parent waits for came along with a fork.
            link.close()
            return False
        try:
            if not link.wait(0):
                self._store.waits += 1
            # When the time is over, what is in the store counts as here, though its answer is on its way.
            self._store.finish(link, timeout)
        except OSError:
            link.close()
            raise
        except BaseException:
            self._link = link
            raise
        replies = link.answers()
        self._store.unwatch(link)
        return self._keep(replies)

    def end(self) -> None:
        """Nothing is outstanding any more, and what had come is in the list again."""
        self._answered = False
        _outstanding.discard(self)
        if self.poll(0):
            came, self._came = self._came, None
            assert came is not None
            self._store.cast(("LPUSH", self._key, came[0]), ("PEXPIRE", self._key, self._ttl))

    def close(self) -> None:
        """The end is closed; nobody else reads what comes."""
        link, self._link = self._link, None
        _outstanding.discard(self)
        if link is not None:
            self._store.retire(link)

    def _keep(self, replies: list[Reply]) -> bool:
        for reply in replies:
            if isinstance(reply, StoreReplyError):
                raise reply
        if replies[0] is None:
            return False
        self._came = replies
        return True


#: Those whose pop is outstanding, or has come and was not asked for.
_outstanding: set[Early] = set()


def look() -> list[Reply]:
    """Replies that have come and were not asked for. None in a program of several threads: it waits for
    each by itself, and what is looked at here could be what another thread is about to wait for.
    """
    if background.count() > 0:
        return []
    return [reply for early in tuple(_outstanding) for reply in early.look()]


memory.on_gap(look)
# What is outstanding is the parent's.
os.register_at_fork(after_in_child=_outstanding.clear)
