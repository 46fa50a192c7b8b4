"""What a segment rides on: a lock, with whose release it is published and with whose acquire it is fetched.

What happens then `memory` knows.
"""

from __future__ import annotations

import weakref
from typing import Protocol

from transparent_mp.primitives.replica import Replica

#: Segments, weakly.
Segments = tuple["weakref.ref[Replica]", ...]


class Lock(Protocol):
    """What segments ride on."""

    #: Those that do; a lock names them to publish() and fetch().
    riders: Segments

    def held(self) -> bool:
        """Whether a thread of this process holds it."""
