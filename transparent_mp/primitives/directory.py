"""The directory a process stands in, when it is the client's and the worker does not have it.

`getcwd` says what the client's says until the program goes elsewhere; the process really stands in the
worker's temporary directory meanwhile. It does not make the client's files appear there.
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


def getcwd() -> str:
    """The client's directory, or where the process has gone since."""
    real: str = original("os", "getcwd")()
    return _Stand.said if _Stand.said and real == _Stand.real else real


def getcwdb() -> bytes:
    """`getcwd` in bytes."""
    return os.fsencode(getcwd())
