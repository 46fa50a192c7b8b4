"""Casts on their way to the shared line: each is sent once, whatever a signal's handler raises meanwhile.

From the moment on in which one is appended it is sure to be sent, by the next exchange if need be. It is
emptied by who puts it on the line, and only then removed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from transparent_mp.errors import StoreError
from transparent_mp.store.line import Line, OnReply
from transparent_mp.store.link import Command
from transparent_mp.store.replies import Told

#: Commands and what is given the reply to the last of them; empty when they are on their way.
Cast = list[tuple[Sequence[Command], OnReply]]


class Casts(deque[Cast]):
    """Appended to by any thread; put by who has the line."""

    def put(self, line: Line) -> None:
        """Put all of them on the line. Raises StoreError, and then that one is not sent."""
        while self:
            cast = self[0]
            if cast:
                commands, on_reply = cast[0]
                last = line.kept[-1] if line.kept else None
                try:
                    line.put(commands, None, None if on_reply is None else Told(on_reply, line.failed))
                except BaseException as error:
                    # Of what was interrupted: it will be sent.
                    if isinstance(error, StoreError) or (line.kept and line.kept[-1] is not last):
                        cast.clear()
                    raise
                cast.clear()
            if self and self[0] is cast:
                self.popleft()

    def ensure(self, cast: Cast) -> None:
        """See that one that was interrupted is sent, if it is neither here nor on its way."""
        if cast and not any(one is cast for one in self):
            self.append(cast)
