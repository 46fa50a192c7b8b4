"""A pop that is outstanding while nobody waits for it, on an fd that is readable once it is served.

For a list that only this process reads: what the answer brings nobody else could have had (a `watch` takes
nothing, and who it tells has to ask once more). It is sent when its fd is first asked for, and again after
what it brought was taken.

    silent, length, came    for `watching.catch_up`: the end of a process may be known before the answer is
                            here that brings what that process has sent

It does not know what is in the list, nor when to pop no more.
"""

from __future__ import annotations

import select
from collections.abc import Sequence

from transparent_mp.primitives import watching
from transparent_mp.store.link import Command, Reply
from transparent_mp.store.popping import unless_refused
from transparent_mp.store.pops import PopLine
from transparent_mp.store.store import Store


class Incoming:
    """Marks what is waited for by its fd and answers what was cast: that may have to be sent again."""

    __slots__ = ()


class Outstanding:
    """For one thread, which waits for the fd and takes; others may ask whether it is silent."""

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key
        self._line: PopLine = store.watch()
        watching.follow(self)

    def fileno(self, then: Sequence[Command] = ()) -> int:
        """The fd; another one, once its connection was lost. `then`: as Store.pop."""
        if not self._line.outstanding:
            self._line.pop(self._key, then)
            self._store.waits += 1
        return self._line.fileno()

    def take(self) -> list[Reply]:
        """[element, *replies of `then`]; nothing when these are not here yet, or it was begun anew."""
        if not self._line.outstanding or not self._line.ready():
            return []
        if not self._line.collect():
            # For a reason that may have met what was cast, too.
            self._store.mend()
            return []
        return unless_refused(self._line.answers())

    def wait(self, poll: select.poll) -> list[tuple[int, int]]:
        """What that finds, in which the fd is registered; looks first, as who waits for an answer does."""
        link = self._line.link
        return poll.poll() if link is None else link.spin.wait(poll, None)

    @property
    def length(self) -> Command:
        """What asks how much has been popped."""
        return ("LLEN", self._line.taken)

    def came(self, length: int) -> bool:
        """Whether, by that answer, the pop was served."""
        return self._line.outstanding and self._line.grew(length)

    def silent(self, timeout: float = 0.0) -> bool:
        """Whether it is outstanding and its answer not here within `timeout` seconds."""
        if not self._line.outstanding or not self._line.usable:
            return False
        poll = select.poll()
        poll.register(self._line.fileno(), select.POLLIN)
        return not poll.poll(timeout * 1000)

    def close(self) -> None:
        """Pop nothing any more."""
        watching.forget(self)
        self._store.retire(self._line)
