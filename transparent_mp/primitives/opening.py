"""What a program's first process waits for longest is begun before all else that it needs is imported.

    keeper    a process, and the store that it starts
    worker    of the local launcher: an interpreter, and what that imports

They wait on their inputs for what they are told, and end at the end of these. It opens no session and imports
little, for it is what the program waits for; `session` and `starter` take what was begun.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

from transparent_mp.config import Config
from transparent_mp.launch.local import LocalLauncher
from transparent_mp.store import keeper
from transparent_mp.store.keeper import Begun


class Opening(NamedTuple):
    """What was begun."""

    config: Config
    keeper: Begun
    launcher: LocalLauncher | None


class _Place:
    """Where it is until it is taken."""

    opening: Opening | None = None
    launcher: LocalLauncher | None = None
    lock = threading.Lock()


def begin(worker: bool) -> None:
    """For a process that has no session yet; `worker`: and that starts something on a worker next.

    Raises ConfigError.
    """
    with _Place.lock:
        if _Place.opening is None:
            config = Config.from_environ()
            begun = keeper.begun(config)
            launcher = LocalLauncher(config) if worker and config.backend == "local" else None
            if launcher is not None:
                launcher.begin(begun.task["session"])
            _Place.opening = Opening(config, begun, launcher)


def take() -> Opening:
    """What was begun, for whoever opens the session."""
    begin(worker=False)
    with _Place.lock:
        opening, _Place.opening = _Place.opening, None
    assert opening is not None
    _Place.launcher = opening.launcher
    return opening


def launcher() -> LocalLauncher | None:
    """The launcher that has begun a worker for the session, once."""
    begun, _Place.launcher = _Place.launcher, None
    return begun


def give_up() -> None:
    """The session could not be opened: nothing that was begun for it stays."""
    begun = launcher()
    if begun is not None:
        begun.close()
