"""The pop lines of one process: lent to whoever takes something, kept when they come back.

It does not know what is taken on them, and makes no line that nobody asks for.
"""

from __future__ import annotations

import contextlib
from typing import Callable

from transparent_mp.store.line import Line
from transparent_mp.store.pops import PopLine


class PopLines:
    """Thread-safe."""

    def __init__(self, dial: Callable[[Line], None]) -> None:
        self._dial = dial
        self._idle: list[PopLine] = []
        self._closed = False

    def lend(self, check: Callable[[], None]) -> PopLine:
        """A line on which nothing is outstanding; `check` is called before a new one is made."""
        while True:
            try:
                line = self._idle.pop()
            except IndexError:
                break
            link = line.link
            if link is not None and link.usable:
                return line
            line.close()
        check()
        line = PopLine(self._dial)
        self._dial(line)
        return line

    def take_back(self, line: PopLine) -> None:
        self._idle.append(line)
        if self._closed:
            # Meanwhile, by another thread.
            self.close()

    def close(self) -> None:
        """End those that are here, and from now on each that comes back."""
        self._closed = True
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()

    def drop(self) -> None:
        """In the child of a fork: leave the connections to the parent."""
        for line in self._idle:
            line.drop()
