"""A store that a process makes for the children that it is going to fork, and does not use itself.

Each of them goes on with it as its own: there is no link in it, and nothing that waits.
"""

from __future__ import annotations

from transparent_mp.originals import original
from transparent_mp.store.admission import Admission
from transparent_mp.store.store import Store

# The kernel's: on a worker a process has another.
_getpid = original("os", "getpid")


class Inherited(Store):
    """Such a one."""

    def begin(self, admission: Admission) -> None:
        """In a child: every line is one of a session."""
        self._pid, self._dialler.admission = _getpid(), admission
