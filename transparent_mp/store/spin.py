"""How long somebody who waits for the store looks by itself before it sleeps.

To wake a processor that sleeps costs 25 to 40 us, which is as much as the store's whole answer. So who waits
first looks again and again, and lets whoever wants the processor have it between two looks:

    looks     only where the last wait took less than SPAN, and for no longer than that
    sleeps    then, or at once: there is one processor, the last wait was longer, or the processors are taken

They are taken when a look comes back late. Then nobody in this process looks for a pause, which is doubled
each time that this happens again, and halved when an answer has come to who looked.

It does not know what is waited for.
"""

from __future__ import annotations

import os
import select
from time import monotonic
from typing import Callable

#: Seconds. Larger: answers that take longer come without a wake-up, too; smaller: less is computed in vain
#: before a wait that turns out long. The processes of a pool take turns: each waits for the others' tasks,
#: too, and where it sleeps meanwhile, every task takes longer.
SPAN = 0.001
#: Seconds between two looks from which on a stranger has had the processor, or this interpreter. Larger: what
#: that costs is found out later; smaller: it is taken for strange what this process itself waits for, which
#: computes for 0.1 to 0.3 ms between two messages.
LATE = 0.0004
#: Seconds of the shortest and the longest pause. A look that comes back late may cost a time slice (4 ms), so
#: the longest makes this a five-hundredth.
SHORTEST, LONGEST = 0.02, 2.0


def _processors() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


class _Pause:
    """While the processors are taken; of the whole process."""

    until = 0.0
    lasts = SHORTEST


_pause = _Pause()
_yield: Callable[[], object] | None = getattr(os, "sched_yield", None) if _processors() > 1 else None


class Spin:
    """Of one connection, for one thread at a time; another's use makes its guess worse, and nothing else."""

    __slots__ = ("_begun", "_soon")

    def __init__(self) -> None:
        self._soon = True
        self._begun = 0.0

    def wait(self, poll: select.poll, timeout: float | None) -> list[tuple[int, int]]:
        """What `poll` finds within so many seconds (None: however long it takes)."""
        if timeout is not None and timeout < SPAN:
            return poll.poll(max(0.0, timeout) * 1000)
        found = self.look(poll)
        if not found:
            left = None if timeout is None else max(0.0, timeout - monotonic() + self._begun) * 1000
            found = poll.poll(left)
            self.slept()
        return found

    def look(self, poll: select.poll) -> list[tuple[int, int]]:
        """What `poll` finds by looking; nothing when it is better to sleep, and to say slept() after that."""
        self._begun = begun = last = monotonic()
        found = poll.poll(0)
        if found or not self._soon or _yield is None or begun < _pause.until:
            return found
        while True:
            _yield()
            found = poll.poll(0)
            now = monotonic()
            if now - last > LATE:
                _pause.until = now + _pause.lasts
                _pause.lasts = min(2 * _pause.lasts, LONGEST)
                return found
            if found:
                _pause.lasts = max(_pause.lasts / 2, SHORTEST)
                return found
            if now - begun > SPAN:
                return found
            last = now

    def slept(self) -> None:
        """What was waited for has come."""
        self._soon = monotonic() - self._begun < SPAN
