"""A process that runs on this worker, as its supervisor holds it: child, signals, output, parent.

`outputs` maps the fds that the supervisor reads to the child's descriptors 1 and 2. The child's
parent sentinel becomes readable when its parent's end is told (`orphan`) or this worker is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any

#: One read of a child's output.
READ = 64 * 1024


class Running:
    """One forked child. Made before the fork; each side then takes its own ends."""

    def __init__(self, head: dict[str, Any]) -> None:
        self.pid: int = head["pid"]
        self.child = 0
        out, err, parent = os.pipe(), os.pipe(), os.pipe()
        self.outputs = {out[0]: 1, err[0]: 2}
        self._writers = (out[1], err[1])
        self._parent_reader, self._parent_writer = parent

    def child_side(self) -> tuple[int, int, int]:
        """In the child: the fds for its stdout and stderr, and its parent sentinel."""
        for fd in self.outputs:
            os.close(fd)
        os.close(self._parent_writer)
        return (*self._writers, self._parent_reader)

    def parent_side(self, child: int) -> None:
        """In the supervisor."""
        self.child = child
        for fd in (*self._writers, self._parent_reader):
            os.close(fd)
        for fd in self.outputs:
            os.set_blocking(fd, False)

    def read(self, fd: int) -> bytes | None:
        """Output that is there; b'' at its end, None when there is none yet."""
        try:
            return os.read(fd, READ)
        except BlockingIOError:
            return None

    def signal(self, number: int) -> None:
        # It may have ended a moment ago, and its end not been seen yet.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.child, signal.Signals(number))

    def orphan(self) -> None:
        """Its parent has ended."""
        if self._parent_writer >= 0:
            os.close(self._parent_writer)
            self._parent_writer = -1

    def close_output(self, fd: int) -> None:
        del self.outputs[fd]
        os.close(fd)

    def close(self) -> None:
        for fd in list(self.outputs):
            self.close_output(fd)
        self.orphan()
