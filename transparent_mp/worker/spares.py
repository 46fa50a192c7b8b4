"""Children forked ahead of the processes that they will be.

A *spare* waits for its frame; there is one whenever there was nothing else to do. After some processes that
were alike they are forked from a `Template` of them, and then they are for those like them only: another has
them thrown away. Nobody waits for such a fork unless nothing else is at hand: the next process may come
meanwhile. Where processes that are alike came several at once, and have ended, there are as many spares: the
next will be as many.

It does not know how a child is forked from the supervisor.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Callable

from transparent_mp.worker.running import Running
from transparent_mp.worker.template import Template

#: Processes that are alike, one after the other, after which a template is made. More: later; fewer: also
#: for pools whose processes stay.
ROW = 3
#: Spares at most. More: 4 MB and 3 ms of a processor each, for those that may not come; fewer: of many at
#: once more are forked when they are wanted, one after the other.
MOST = 8


class Spares:
    """Those of one supervisor. `fork` makes one for any process, `begin` a template from a frame."""

    def __init__(self, fork: Callable[[], Running], begin: Callable[[str, bytes], Template]) -> None:
        self._fork = fork
        self._begin = begin
        self._spares: list[Running] = []
        #: One that was ordered of the template and may not be there yet.
        self._coming: Running | None = None
        self._template: Template | None = None
        #: What the last processes were like, how many, and the last one's frame.
        self._like, self._row, self._frame = "", 0, b""
        #: How many of them have come since none was running, and how many spares there shall be.
        self._burst, self._wanted = 0, 1
        self._tried: set[str] = set()

    def prepare(self) -> bool:
        """There is time for it. Returns whether there is more to prepare, if nothing else happens."""
        # Where the last template was dropped, the next process brings the frame of another.
        if self._row >= ROW and self._frame and self._like not in self._tried:
            self._tried.add(self._like)
            self.settle()
            if self._template is not None:
                self._template.close()
            self._template, self._frame = self._begin(self._like, self._frame), b""
            return False
        if len(self._spares) + (self._coming is not None) >= self._wanted:
            return False
        self.settle()
        template = self._ready()
        self._coming = template.order() if template is not None else None
        if self._coming is None and not self._spares:
            self._spares.append(self._fork())
        return self._coming is not None and len(self._spares) + 1 < self._wanted

    def take(self, like: str, frame: bytes) -> Running:
        """A child for the process of that frame; `like`: see `ahead`."""
        again = bool(like) and like == self._like
        self._row = (self._row + 1 if again else 1) if like else 0
        if again:
            self._burst += 1
        else:
            self._burst, self._wanted = self._row, 1
        self._like = like
        self._frame = frame if like not in self._tried else b""
        return self._at_hand(like) or self._new()

    def none_is_running(self) -> None:
        """All processes have ended."""
        self._burst, self._wanted = 0, max(1, min(self._burst, MOST))

    def settle(self) -> None:
        """Wait for the one that was ordered: until it is there nobody knows its number."""
        coming, self._coming = self._coming, None
        if coming is not None and self._template is not None and self._template.arrived(coming):
            self._spares.append(coming)

    def ended(self, children: Collection[int]) -> None:
        """These have ended."""
        for spare in [spare for spare in self._spares if spare.child in children]:
            self._spares.remove(spare)
            spare.close()

    def drop(self) -> None:
        """Those that there are lack something, or are not needed any more."""
        for spare in (*self._spares, self._coming):
            if spare is not None:
                # It reads the end of its input and leaves.
                spare.close()
        self._spares, self._coming = [], None
        if self._template is not None:
            self._template.close()
            self._tried.discard(self._template.like)
            self._template = None

    def _at_hand(self, like: str) -> Running | None:
        """A spare for such a process; those that are for others are thrown away."""
        fits = ("", like)
        if not any(spare.like in fits for spare in self._spares):
            self.settle()
        for spare in [spare for spare in self._spares if spare.like not in fits]:
            self._spares.remove(spare)
            spare.close()
        # One that is for any process is the slower, so the last.
        found = max(self._spares, key=lambda spare: bool(spare.like), default=None)
        if found is not None:
            self._spares.remove(found)
        return found

    def _new(self) -> Running:
        template = self._ready()
        return (template.fork() if template is not None else None) or self._fork()

    def _ready(self) -> Template | None:
        """The template, if it forks for processes like those that there were last."""
        template = self._template
        fits = template is not None and template.like == self._like and self._row > 1
        return template if fits and template is not None and template.ready() else None
