"""Which Popen a context's Process gets: a remote one, or for a manager's server the local original.

Patched in as `_Popen` of CPython's process classes, which every context, `Process` and `Pool` asks.
Imports what starts processes when the first one is started.
"""

from __future__ import annotations

import atexit
import sys
from typing import Any

from transparent_mp.originals import original

_CONTEXT = "multiprocessing.context"


def _choose(process_class: str, method: str) -> Any:
    def popen(process_obj: Any) -> Any:
        beside = is_manager_server(process_obj)
        if "transparent_mp.primitives.popen" not in sys.modules:
            _begin(worker=not beside)
        from transparent_mp.primitives import popen as remote

        if beside:
            return remote.start_beside(original(_CONTEXT, process_class + "._Popen").__func__, process_obj)
        return remote.METHODS[method](process_obj)

    return staticmethod(popen)


def _begin(worker: bool) -> None:
    """Before the first process is started, and what that takes is imported."""
    session = sys.modules.get("transparent_mp.primitives.session")
    if session is None or session.attached() is None:
        from transparent_mp.primitives import opening

        opening.begin(worker)


def is_manager_server(process_obj: Any, package: str = "multiprocessing") -> bool:
    """Whether `process_obj` is to run a manager's server; `package` is whose manager."""
    managers = sys.modules.get(package + ".managers")
    if managers is None:
        return False
    target = getattr(getattr(process_obj, "_target", None), "__func__", None)
    return target is managers.BaseManager._run_server.__func__


def _leave() -> None:
    sessions = sys.modules.get("transparent_mp.primitives.session")
    if sessions is not None:
        sessions.leave()


# This module is imported before multiprocessing.util, and exit handlers run in reverse order: the
# session ends after multiprocessing's own clean-up, and stands in no list that the program may see.
atexit.register(_leave)

fork_popen = _choose("ForkProcess", "fork")
spawn_popen = _choose("SpawnProcess", "spawn")
forkserver_popen = _choose("ForkServerProcess", "forkserver")
