"""`connection.wait`, which is not told of an element by the mere end of a connection to the store.

The fd of an end (`watching`) becomes readable then too. Whoever selects on it by other means may be told in
vain, once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from transparent_mp.originals import original
from transparent_mp.primitives.connection import Connection

_stock = original("multiprocessing.connection", "wait")


def wait(object_list: Iterable[Any], timeout: float | None = None) -> list[Any]:
    """As the standard library's."""
    objects = list(object_list)
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        ready = _stock(objects, None if deadline is None else max(0.0, deadline - time.monotonic()))
        told = [one for one in ready if not (isinstance(one, Connection) and one.told_in_vain())]
        # In vain, it is not known whether there is something: asked for its fd, an end makes sure.
        if told or not ready:
            return told
