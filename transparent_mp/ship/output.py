"""Output of processes, written where a local child's would have gone: file descriptors 1 and 2."""

from __future__ import annotations

import os

from transparent_mp.ship.frames import Head


def write(head: Head, body: bytes) -> None:
    """Write a process's output; a descriptor that the client has closed loses it, as a child's would."""
    fd = 2 if head.get("fd") == 2 else 1
    view = memoryview(body)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        # As for a local child, whose write would have failed there unseen by the client.
        return
