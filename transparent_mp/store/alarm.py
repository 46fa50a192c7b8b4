"""An fd that is readable when the connection of a line has ended, and no other reason makes it so.

It is told of each connection of the line, and made when somebody first asks for it. It mends nothing.
"""

from __future__ import annotations

import select

from transparent_mp.store.line import Line
from transparent_mp.store.link import handlers_errors_only


class Alarm:
    """That of one line."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None

    def fileno(self, line: Line | None) -> int:
        """The fd; -1: there is none here."""
        if not hasattr(select, "epoll"):
            return -1
        if self._epoll is None:
            self._epoll = select.epoll()
            if line is not None and line.usable:
                self.follow(line)
        return self._epoll.fileno()

    def follow(self, line: Line) -> None:
        """The line has a connection."""
        if self._epoll is not None:
            self._epoll.register(line.fileno(), select.EPOLLRDHUP)

    def leave(self, line: Line) -> None:
        """The line is to have another one. While this one is open: where a child has a copy of its socket,
        its end would be told of for ever.
        """
        if self._epoll is not None and line.link is not None:
            with handlers_errors_only():
                self._epoll.unregister(line.fileno())

    def close(self) -> None:
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None
