"""What a segment rides on: a lock, with whose release it is published and with whose acquire it is fetched.

What happens then `memory` knows.
"""

from __future__ import annotations

import weakref
from typing import Protocol

from transparent_mp.primitives.replica import Replica

#: Segments, weakly.
Segments = tuple["weakref.ref[Replica]", ...]


def alive(segments: Segments) -> list[Replica]:
    """Those that nothing has collected."""
    # A loop, since every operation on shared memory passes here: a comprehension is a call more.
    found: list[Replica] = []
    for ref in segments:
        replica = ref()
        if replica is not None and not replica.ended:
            found.append(replica)
    return found


class Lock(Protocol):
    """What segments ride on."""

    #: Those that do; a lock names them to publish() and fetch().
    riders: Segments

    def held(self) -> bool:
        """Whether a thread of this process holds it."""
