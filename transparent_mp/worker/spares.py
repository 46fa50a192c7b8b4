"""Children forked ahead of the processes that they will be.

The *spare* waits for its frame; there is one whenever there was nothing else to do. After some processes that
were alike spares are forked from a `Template` of them, `AHEAD` at once, and then they are for one like them
only: another has them thrown away. Such a fork takes as long as a process of a moment, and would have the one
that has just begun wait for its processor; so while there is another spare it is put off until a process has
ended, or for a while. Nobody waits for it: the next order may come meanwhile.

It does not know how a child is forked from the supervisor.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Callable

from transparent_mp.worker.running import Running
from transparent_mp.worker.template import Template

#: Processes that are alike, one after the other, after which a template is made. More: later; fewer: also
#: for pools whose processes stay.
ROW = 3
#: Spares of a template that there are at once. More: as many wait in vain in the end; fewer: the next process
#: waits for its fork.
AHEAD = 2
#: Seconds for which the fork of another spare is put off. Longer: a third process that is begun meanwhile is
#: forked when it comes; shorter: a process of a moment shares its processor with the fork.
PAUSE = 0.02


class Spares:
    """Those of one supervisor. `fork` makes one for any process, `begin` a template from a frame."""

    def __init__(self, fork: Callable[[], Running], begin: Callable[[str, bytes], Template]) -> None:
        self._fork = fork
        self._begin = begin
        self._spares: list[Running] = []
        #: One that was ordered of the template and may not be there yet.
        self._coming: Running | None = None
        #: Until when the next one is put off.
        self._later = 0.0
        self._template: Template | None = None
        #: What the last processes were like, how many, and the last one's frame.
        self._like, self._row, self._frame = "", 0, b""
        self._tried: set[str] = set()

    def prepare(self) -> None:
        """There is time for it."""
        if self._row >= ROW and self._like not in self._tried:
            self._tried.add(self._like)
            self.settle()
            if self._template is not None:
                self._template.close()
            self._template, self._frame = self._begin(self._like, self._frame), b""
            return
        if self._coming is not None and self._template is not None and self._template.answered():
            self.settle()
        if self._coming is not None:
            return
        if self._wants_more() and (not self._spares or time.monotonic() >= self._later):
            assert self._template is not None
            self._coming = self._template.order()
        if not self._spares and self._coming is None:
            self._spares.append(self._fork())

    def due(self) -> float:
        """When `prepare` is to be called at the latest."""
        return self._later if self._coming is None and self._spares and self._wants_more() else float("inf")

    def take(self, like: str, frame: bytes) -> Running:
        """A child for the process of that frame; `like`: see `ahead`."""
        self._row = (self._row + 1 if like == self._like else 1) if like else 0
        self._like = like
        self._frame = frame if like not in self._tried else b""
        if not self._spares:
            self.settle()
        if self._spares and self._spares[0].like not in ("", like):
            self.settle()
            self.drop_spares()
        self._later = time.monotonic() + PAUSE
        return self._spares.pop(0) if self._spares else self._new()

    def free(self) -> None:
        """A process has ended, and so there is a processor."""
        self._later = 0.0

    def settle(self) -> None:
        """Wait for the one that was ordered: until then nobody knows what the end of that child is."""
        coming, self._coming = self._coming, None
        if coming is not None and self._template is not None and self._template.arrived(coming):
            self._spares.append(coming)

    def ended(self, children: Collection[int]) -> None:
        """These have ended."""
        if any(spare.child in children for spare in self._spares):
            self.drop_spares()

    def drop(self) -> None:
        """Those that there are lack something, or are not needed any more."""
        self.drop_spares()
        coming, self._coming = self._coming, None
        if coming is not None:
            coming.close()
        if self._template is not None:
            self._template.close()
            self._tried.discard(self._template.like)
            self._template = None

    def drop_spares(self) -> None:
        """Those that are there."""
        spares, self._spares = self._spares, []
        for spare in spares:
            # It reads the end of its input and leaves.
            spare.close()

    def _wants_more(self) -> bool:
        return len(self._spares) < AHEAD and self._forks()

    def _forks(self) -> bool:
        """Whether there is a template for one more of those that there were last."""
        template = self._template
        return template is not None and template.like == self._like and self._row > 1 and template.ready()

    def _new(self) -> Running:
        if self._coming is None and self._forks():
            assert self._template is not None
            running = self._template.fork()
            if running is not None:
                return running
        return self._fork()
