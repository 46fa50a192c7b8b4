"""Children forked ahead of the processes that they will be.

The *spare* waits for its frame; there is one whenever there was nothing else to do. After some processes that
were alike it is forked from a `Template` of them, and then it is for one like them only: another has it
thrown away. Nobody waits for that fork: the next process may come meanwhile.

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


class Spares:
    """Those of one supervisor. `fork` makes one for any process, `begin` a template from a frame."""

    def __init__(self, fork: Callable[[], Running], begin: Callable[[str, bytes], Template]) -> None:
        self._fork = fork
        self._begin = begin
        self._spare: Running | None = None
        #: One that was ordered of the template and may not be there yet.
        self._coming: Running | None = None
        self._template: Template | None = None
        #: What the last processes were like, how many, and the last one's frame.
        self._like, self._row, self._frame = "", 0, b""
        self._tried: set[str] = set()

    def prepare(self) -> None:
        """There is time for it."""
        # Where the last template was dropped, the next process brings the frame of another.
        if self._row >= ROW and self._frame and self._like not in self._tried:
            self._tried.add(self._like)
            self.settle()
            if self._template is not None:
                self._template.close()
            self._template, self._frame = self._begin(self._like, self._frame), b""
        elif self._spare is None and self._coming is None:
            template = self._ready()
            self._coming = template.order() if template is not None else None
            if self._coming is None:
                self._spare = self._fork()

    def take(self, like: str, frame: bytes) -> Running:
        """A child for the process of that frame; `like`: see `ahead`."""
        self._row = (self._row + 1 if like == self._like else 1) if like else 0
        self._like = like
        self._frame = frame if like not in self._tried else b""
        self.settle()
        spare, self._spare = self._spare, None
        if spare is not None and spare.like not in ("", like):
            spare.close()
            spare = None
        return spare or self._new()

    def settle(self) -> None:
        """Wait for the one that was ordered: until it is there nobody knows its number."""
        coming, self._coming = self._coming, None
        if coming is not None and self._template is not None and self._template.arrived(coming):
            self._spare = coming

    def ended(self, children: Collection[int]) -> None:
        """These have ended."""
        if self._spare is not None and self._spare.child in children:
            self.drop_spare()

    def drop(self) -> None:
        """Those that there are lack something, or are not needed any more."""
        self.drop_spare()
        if self._template is not None:
            self._template.close()
            self._tried.discard(self._template.like)
            self._template = None

    def drop_spare(self) -> None:
        for spare in (self._spare, self._coming):
            if spare is not None:
                # It reads the end of its input and leaves.
                spare.close()
        self._spare = self._coming = None

    def _new(self) -> Running:
        template = self._ready()
        return (template.fork() if template is not None else None) or self._fork()

    def _ready(self) -> Template | None:
        """The template, if it forks for processes like those that there were last."""
        template = self._template
        fits = template is not None and template.like == self._like and self._row > 1
        return template if fits and template is not None and template.ready() else None
