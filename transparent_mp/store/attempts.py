"""Commands that wait for an element and move it to where it is found again, on a line of their own.

Unlike a pop (`pops`), which moves it to a list of the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable

from transparent_mp.errors import StoreAwayError, StoreError, StoreReplyError
from transparent_mp.store.link import Command, Reply
from transparent_mp.store.popping import unblock
from transparent_mp.store.pops import PopLine
from transparent_mp.store.refusals import lacks_scripts
from transparent_mp.store.store import Store


def attempt(
    store: Store, commands: Sequence[Command], timeout: float | None, found: Callable[[], list[Reply] | None]
) -> list[Reply]:
    """Replies to commands the first of which waits, up to `timeout` seconds, for an element that it moves.

    Should the connection be lost, `found` says where that element is: what it returns stands for the
    replies, and None has the commands sent again.
    """
    line = store.watch()
    try:
        replies = _replies(store, line, commands, timeout, found)
    except StoreError:
        line.close()
        raise
    except BaseException:
        # Nothing is to be moved by it any more.
        if line.link is not None:
            store.soon(("CLIENT", "KILL", "ID", line.link.number, "ADDR", line.link.name))
        store.retire(line)
        raise
    store.unwatch(line)
    for reply in replies:
        if isinstance(reply, StoreReplyError):
            raise reply
    return replies


def _replies(
    store: Store,
    line: PopLine,
    commands: Sequence[Command],
    timeout: float | None,
    found: Callable[[], list[Reply] | None],
) -> list[Reply]:
    while True:
        try:
            assert line.link is not None
            line.link.send(commands)
            store.waits += 1
            here = store.wait(line, timeout, alone=True)
            if not here:
                unblock(store, line)
            line.link.gather(len(commands), here=here)
            replies = list(line.link.arrived)
            line.link.arrived.clear()
            if not lacks_scripts(replies):
                return replies
        except StoreAwayError:
            pass
        # A new link brings the scripts along.
        line.renew()
        known = found()
        if known is not None:
            return known
