"""How the program of a process comes to be on a worker: `__main__`, modules, the process object.

Under `fork` from the image of the client's `__main__`, under `spawn` and `forkserver` by importing
the main module again. Modules the worker lacks come from the client, on demand.
"""

from __future__ import annotations

import pickle
import sys
from multiprocessing import process, util
from typing import Any

from transparent_mp.primitives import spawn
from transparent_mp.primitives.main_module import restore
from transparent_mp.ship.requests import ask
from transparent_mp.store.session import Session
from transparent_mp.worker.importer import ClientFinder


def load(session: Session, method: str, prepared: bytes, obj: bytes) -> Any:
    """Return the process object, in an interpreter that is ready to run it."""

    def ask_client(topic: str, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        return ask(session, topic, request)

    sys.meta_path.append(ClientFinder(ask_client))
    data = pickle.loads(prepared)
    if method == "fork":
        _inherit(data)
    else:
        spawn.prepare(data)
    return pickle.loads(obj)


def _inherit(data: dict[str, Any]) -> None:
    """What a forked child has because its parent had it."""
    process.current_process().authkey = data["authkey"]
    if data["log_to_stderr"]:
        util.log_to_stderr()
    if data["log_level"] is not None:
        util.get_logger().setLevel(data["log_level"])
    restore(data["image"])
