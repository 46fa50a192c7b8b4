"""Pops of the answers to all questions that were asked, sent when the program wants the first answer.

Who sends to many processes and then receives from each would wait a round trip for every answer,
one after the other, although all of them are there. So an end that was answered once and has asked again is
*due*: the first wait for an answer sends the pops of all that are. Then the answers come side by side. Not
sooner, since each would hold up the next question.

Only for an end that no other process can read, since a message that was taken cannot be left to
another: both directions, and not watched.

    OWN      moved to the store with its other end, and not pickled
    GIVEN    pickled for a process: what had come is put back. Many programs give both ends to a process,
             which closes the one that is not its own, so now and then the store is asked who has it: -> OWN
    STRAYED  put into a message, for good: it may come back to this process, as another end of one holder
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from transparent_mp import background
from transparent_mp.errors import StoreError, StoreReplyError
from transparent_mp.primitives import memory
from transparent_mp.primitives.brings import Brings
from transparent_mp.store.link import Reply
from transparent_mp.store.pops import Looks, PopLine
from transparent_mp.store.store import Store


class Early:
    """The early pop of one list, whenever one is outstanding."""

    __slots__ = (
        *("_alone", "_answered", "_asked", "_came", "_given", "_holders", "_key", "_link", "_pid"),
        *("_answers", "_store", "_strayed", "_ttl", "brings"),
    )

    def __init__(self, store: Store, key: str, ttl: int, holders: str) -> None:
        """`holders`: of the end's side."""
        self._store = store
        self._key = key
        self._ttl = ttl
        self._holders = holders
        self._pid = os.getpid()
        self._link: PopLine | None = None
        # Replies that have been read and not asked for.
        self._came: list[Reply] | None = None
        self._asked = self._answered = self._strayed = False
        # How often it was given away, and how often when nobody else was seen to have it; answers since.
        self._given = self._alone = self._answers = 0
        #: What of shared memory comes with the answers, and whether `look` has given out what came.
        self.brings = Brings()

    def asked(self) -> None:
        """A message was sent."""
        self._asked = True
        free = self._link is None and self._came is None and self._given == self._alone
        if free and self._answered and self._pid == os.getpid():
            _due[self] = True
            if self._given != self._alone:
                # Another thread gives it away just now, and may have looked before.
                _due.pop(self, None)

    def give(self, receiver: str | None) -> None:
        """The end is pickled, for a process that is being started or (None) a message."""
        self._given += 1
        self._answers = 0
        self._strayed = self._strayed or receiver is None
        self.end()

    def missed(self) -> None:
        """A message was received without it: the next time it is sent for."""
        self._answered = self._asked
        if self._asked and self._given != self._alone and not self._strayed:
            self._answers += 1
            # Each time after twice as many.
            if not self._answers & (self._answers - 1):
                self._ask_who_has_it()

    def take(self, timeout: float | None, found: list[Reply], looks: Looks = None) -> bool:
        """`found` has [element, *replies of `then`]; False when nothing is outstanding, or came in time."""
        if self._came is None:
            self.poll(timeout, looks)
        _outstanding.discard(self)
        came, self._came = self._came, None
        if came is None:
            return False
        found += came
        return True

    def look(self) -> Sequence[Reply]:
        """The replies of `then` if they have come, once; `take` gives them again, with the element."""
        if self._came is None and self._link is not None and self._pid == os.getpid() and self._link.wait(0):
            self.poll(0)
        if self._came is None or self.brings.looked:
            return ()
        self.brings.looked = True
        return self._came[1:]

    def poll(self, timeout: float | None, looks: Looks = None) -> bool:
        """Whether the element is here within `timeout` seconds. False at once if nothing is outstanding."""
        if self._came is not None:
            return True
        if timeout is None or timeout > 0:
            send_for_due()
        inherited = self._pid != os.getpid()
        # One thread waits on it at a time; another pops by itself.
        link, self._link = self._link, None
        if link is None:
            return False
        replies: list[Reply] = []
        try:
            if inherited:
                # What the parent waits for came along with a fork.
                link.close()
                return False
            if not link.wait(0):
                self._store.waits += 1
            # When the time is over, what is in the store counts as here, though its answer is on its way.
            self._store.finish(link, timeout, looks)
            link.answers(replies)
            self._store.unwatch(link)
        except StoreError:
            link.close()
            raise
        except BaseException:
            if replies:
                # It may be lent to another thread already.
                self._store.retire(link)
                self._keep(replies)
            else:
                self._link = link
            raise
        return self._keep(replies)

    def end(self) -> None:
        """Nothing is outstanding any more, and what had come is in the list again."""
        self._answered = False
        _due.pop(self, None)
        _outstanding.discard(self)
        if self.poll(0):
            came = self._came
            assert came is not None
            try:
                self._store.cast(("LPUSH", self._key, came[0]), ("PEXPIRE", self._key, self._ttl))
            finally:
                self._store.returning = True
            self._came = None

    def close(self) -> None:
        """The end is closed; nobody else reads what comes."""
        self._alone = -1
        link, self._link = self._link, None
        _due.pop(self, None)
        _outstanding.discard(self)
        if link is not None:
            self._store.retire(link)

    def send_for(self) -> None:
        """Send the pop of the answer."""
        link = self._store.watch()
        try:
            link.pop(self._key, memory.fetch(brings=self.brings))
            self.brings.looked = False
        finally:
            if link.outstanding:
                self._link = link
        _outstanding.add(self)
        if self._given != self._alone:
            # Another thread has given the end away meanwhile, or closed it.
            self.end()

    def _ask_who_has_it(self) -> None:
        given = self._given

        def learn(holders: Reply) -> None:
            if holders == 1:
                self._alone = given

        # Behind all that was ever given away, on the same line: who is about to have it counts.
        self._store.cast(("SCARD", self._holders), on_reply=learn)

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
#: Those that are due, in the order in which they have asked.
_due: dict[Early, bool] = {}


def send_for_due() -> None:
    """Send the pops of all answers that are due."""
    for early in tuple(_due):
        # Unless another thread has.
        if _due.pop(early, False):
            early.send_for()


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
os.register_at_fork(after_in_child=_due.clear)
