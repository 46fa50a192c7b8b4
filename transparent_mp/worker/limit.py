"""When a worker that may not live for ever stops doing what: the clock of its limit.

    begin ......... retire ................. end .... kill .... limit
                    no further process       told     killed    the platform would kill us

A process that is given to a worker has half of the limit at least. What lies between end and
limit is for processes to clean up, for the supervisor to tell of their ends, and to leave.
"""

from __future__ import annotations

import math
import time

#: Seconds between the end and the limit, and as a share of a short one.
MARGIN, MARGIN_SHARE = 10.0, 0.25


class Limit:
    """Of a worker that may live `life` seconds from now on; None: for ever. Times of the monotonic clock."""

    def __init__(self, life: float | None) -> None:
        self.life = life
        if life is None:
            self.retire_at = self.end_at = self.kill_at = math.inf
            return
        margin = min(MARGIN, life * MARGIN_SHARE)
        over_at = time.monotonic() + life
        self.retire_at = over_at - life / 2
        self.end_at = over_at - margin
        self.kill_at = over_at - margin / 2

    def next_after(self, now: float) -> float:
        """The next of its times; none is infinitely far."""
        return min(
            (at for at in (self.retire_at, self.end_at, self.kill_at) if at > now),
            default=math.inf,
        )
