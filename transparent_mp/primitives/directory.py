"""The directory a process stands in, when it is one of the client's.

`getcwd` says what the client's says, until the program goes to a directory of the worker's own; the process
really stands in an empty one meanwhile. It does not make the client's files appear there.
"""

from __future__ import annotations

import os

from transparent_mp.originals import original


class _Stand:
    """The client's directory, and where the process stands instead."""

    said = ""
    real = ""


def stand_in_for(said: str) -> None:
    """From here on this directory is called `said`."""
    _Stand.said, _Stand.real = said, original("os", "getcwd")()


def standing() -> str:
    """The client's directory that this process stands in; '' when it really stands where it does."""
    if not _Stand.said:
        return ""
    try:
        return _Stand.said if original("os", "getcwd")() == _Stand.real else ""
    except OSError:
        return ""


def getcwd() -> str:
    """The client's directory, or where the process has gone since."""
    return standing() or original("os", "getcwd")()


def getcwdb() -> bytes:
    """`getcwd` in bytes."""
    return os.fsencode(getcwd())
