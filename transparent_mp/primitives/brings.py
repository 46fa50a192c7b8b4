"""Which small segments are asked for with which of several questions that are under way.

Each is asked for its contents by the end whose other side writes it, and by the others for its version only:
else every one of sixteen answers would bring what sixteen processes have written. What turns out to have
come by no answer that is here is fetched, and from then on comes with this one.

It sends and merges nothing itself: `memory` and `replica` do.
"""

from __future__ import annotations

from typing import Any

from transparent_mp.primitives.replica import QUIET, Replica


class Brings:
    """What the answers of one end bring."""

    __slots__ = ("_oids", "looked")

    def __init__(self) -> None:
        # Object id -> how often it came in vain since it last had news.
        self._oids: dict[str, int] = {}
        #: Whether what came last was merged ahead of its turn.
        self.looked = False

    def __contains__(self, oid: object) -> bool:
        return oid in self._oids

    def learn(self, replica: Replica, answer: list[Any]) -> None:
        """Take note of an answer that is about to be merged."""
        oid = replica.oid
        if replica.lacks(answer):
            if oid not in self._oids:
                replica.bringers += 1
            self._oids[oid] = 0
        else:
            self.came(replica, news=len(answer) > 5)

    def came(self, replica: Replica, *, news: bool) -> None:
        """The same of one that is not behind what is known."""
        oid = replica.oid
        if oid in self._oids and not self.looked:
            self._oids[oid] = 0 if news else self._oids[oid] + 1
            # Another end brings it, or nobody changes it any more.
            if self._oids[oid] >= (1 if replica.bringers > 1 else QUIET):
                del self._oids[oid]
                replica.bringers -= 1
