"""What a path means to a process on a worker: the client's file, or this machine's own.

The longest of the known directories that the path lies in decides: a root of the client, or a directory
that every machine has of its own (system, interpreter, this package, the worker's scratch). What lies in
none is this machine's; of what lies above a root, the client says what it is.

A process may stand in a directory of the client: relative paths begin there, while the operating system
has it stand somewhere else.
"""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterable
from pathlib import Path

#: Directories that belong to a machine.
SYSTEM = (
    "/bin", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/opt", "/proc", "/run", "/sbin", "/sys", "/usr",
    "/var/lang", "/var/runtime", "/var/task",
)  # fmt: skip


class Places:
    """The known directories, and where the process stands (`stand`: '' for where it really is)."""

    def __init__(self, roots: Iterable[str], own: Iterable[str]) -> None:
        self._clients: dict[str, bool] = {root.rstrip("/"): True for root in roots}
        self._clients.update((path.rstrip("/"), False) for path in own if path)
        self._above: set[str] = set()
        for root in roots:
            while root != "/":
                root = os.path.dirname(root)
                self._above.add(root)
        self.stand = ""

    def is_clients(self, path: str) -> bool:
        """Whether an absolute path is the client's."""
        return self._known(path) is True

    def is_own(self, path: str) -> bool:
        """Whether an absolute path lies where every machine has its own."""
        return self._known(path) is False

    def _known(self, path: str) -> bool | None:
        """Whose the longest known directory is in which the path lies; None if it lies in none."""
        if "/." in path or "//" in path:
            path = os.path.normpath(path)
        path = path.rstrip("/")
        known = self._clients
        while True:
            found = known.get(path)
            if found is not None or not path:
                return found
            path = path[: path.rfind("/")]

    def is_above(self, path: str) -> bool:
        """Whether a root lies below that path, which is this machine's."""
        return os.path.normpath(path) in self._above


def own_places(scratch: Iterable[str]) -> list[str]:
    """What belongs to this machine, `scratch` directories of ours included."""
    interpreter = [
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        sys.base_exec_prefix,
        os.path.dirname(os.__file__),
    ]
    package = [str(Path(__file__).parents[2])]
    installed = [*site.getsitepackages(), site.getusersitepackages()]
    return [*SYSTEM, *interpreter, *package, *filter(os.path.isdir, installed), *scratch]
