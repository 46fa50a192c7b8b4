"""How a store pops: nothing that was taken from a list is lost with a wait that is given up.

What a signal's handler raises has the element put back, unless it has come to who wants it already.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from transparent_mp.errors import StoreError, StoreReplyError
from transparent_mp.store.link import Command, Reply
from transparent_mp.store.pops import Looks, PopLine

if TYPE_CHECKING:
    from transparent_mp.store.store import Store

#: Seconds after which a pop that CLIENT UNBLOCK did not find, since it was still on its way, is ended again.
UNBLOCK_AGAIN = 0.01


def pop(
    store: Store,
    key: str,
    timeout: float | None,
    then: Sequence[Command],
    looks: Looks,
    found: list[Reply] | None,
) -> list[Reply] | None:
    """See Store.pop."""
    # Who pops in the middle of an exchange cannot wait for another; it leaves that to the next.
    if store.returning and not store.amid():
        settle_returning(store)
    line = store.watch()
    replies: list[Reply] = [] if found is None else found
    try:
        line.pop(key, then)
        store.waits += 1
        finish(store, line, timeout, looks)
        line.answers(replies)
        store.unwatch(line)
    except StoreError:
        line.close()
        raise
    except BaseException:
        if line.outstanding:
            put_back(store, line, key)
            store.unwatch(line)
        elif replies:
            # It may be lent to another thread already, or have answers that were taken.
            store.retire(line)
            if found is None:
                store.restore(key, replies)
        else:
            store.unwatch(line)
        raise
    unless_refused(replies)
    return None if replies[0] is None else replies


def finish(store: Store, line: PopLine, timeout: float | None, looks: Looks) -> None:
    """See Store.finish."""
    deadline = None if timeout is None else time.monotonic() + timeout
    pause, waited = None if looks is None else looks(0.0), 0.0
    while True:
        left = None if deadline is None else deadline - time.monotonic()
        if pause is not None and (left is None or pause < left):
            here = store.wait(line, pause, alone=True)
            if not here:
                assert looks is not None
                waited += pause
                pause = looks(waited)
                continue
        else:
            here = store.wait(line, left, alone=True)
            if not here:
                unblock(store, line)
        if line.collect(here=here):
            return
        # It was begun anew, for a reason that may have met what was cast, too.
        store.mend()


def unblock(store: Store, line: PopLine) -> None:
    """End the wait that is outstanding on a line; its answer may come first."""
    line.give_up()
    while line.link is not None and not line.wait(0):
        if store.ask("CLIENT", "UNBLOCK", line.link.number) or line.wait(UNBLOCK_AGAIN):
            return


def restore(store: Store, key: str, replies: Sequence[Reply]) -> None:
    """See Store.restore."""
    if replies and isinstance(replies[0], bytes):
        try:
            store.soon(("LPUSH", key, replies[0]))
        finally:
            # Not sooner: another thread might have settled before there was anything to wait for.
            store.returning = True


def settle_returning(store: Store) -> None:
    """Wait until what is put back is in its list; otherwise a pop might take what is to come after it."""
    # In this order: another thread may put something back meanwhile.
    store.returning = False
    try:
        store.settle()
    except BaseException:
        store.returning = True
        raise


def put_back(store: Store, line: PopLine, key: str) -> None:
    """End the pop that is outstanding on a line, and put back what it has taken."""
    line.give_up()
    if line.usable and not line.complete():
        unblock(store, line)
    while not line.collect():
        continue
    restore(store, key, line.answers())


class Taking:
    """The replies to a pop on the shared line, which may be given up before they come."""

    def __init__(self, store: Store, key: str, count: int, found: list[Reply]) -> None:
        self._store = store
        self._key = key
        self._count = count
        self._found = found
        self._late: list[Reply] = []
        #: Whether nobody wants it any more.
        self.given_up = False

    def lacks(self) -> bool:
        """Whether there are replies still to come."""
        return len(self._found) < self._count

    def collect(self, reply: Reply) -> None:
        """Given each reply."""
        if not self.given_up:
            self._found.append(reply)
        elif not self._late:
            self._late.append(reply)
            self._store.restore(self._key, self._late)


def unless_refused(replies: list[Reply]) -> list[Reply]:
    """Raise the first error among them."""
    # By a call that loops in C: every pop passes here.
    if StoreReplyError in map(type, replies):
        raise next(reply for reply in replies if isinstance(reply, StoreReplyError))
    return replies
