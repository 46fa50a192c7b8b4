"""A manager's server runs beside the process that made it, and ends with it.

Plain Python's goes on for ever when its creator is killed, which nobody sees but whoever waits for the end
of its output. Here it has no use from then on: its session is over.
"""

from __future__ import annotations

import select
import signal
import sys
from typing import Any

from transparent_mp import background


def defining(process_obj: Any) -> str:
    """The module that knows the parent of such a process: multiprocessing's, or that of a package like it."""
    return next(kind.__module__ for kind in type(process_obj).__mro__ if kind.__name__ == "BaseProcess")


def run(module: str, target: Any, *args: Any, **kwargs: Any) -> Any:
    """Run the server, in a process that `module` knows the parent of."""
    parent = sys.modules[module].parent_process()
    if parent is not None:
        background.start(_end_with, parent.sentinel)
    return target(*args, **kwargs)


def _end_with(sentinel: int) -> None:
    end = select.poll()
    end.register(sentinel, select.POLLIN)
    end.poll()
    # As the manager's own finaliser does.
    signal.raise_signal(signal.SIGTERM)
