"""`connection.wait`, which knows of ends what their fds (`watching`) may not.

    told in vain   an fd becomes readable, too, when its connection to the store ends: nothing is there
    told late      its answer is on its way when the time is over: something is there
    told never     what was sent before was lost with its own connection: nobody else would send it again

Whoever selects on such an fd by other means may be told in vain, once, or a moment later.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from transparent_mp.originals import original
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.connection import Connection
from transparent_mp.primitives.outstanding import Incoming
from transparent_mp.primitives.watching import Watch, catch_up

_stock = original("multiprocessing.connection", "wait")


def wait(object_list: Iterable[Any], timeout: float | None = None) -> list[Any]:
    """As the standard library's."""
    objects = list(object_list)
    alarm = _alarm(objects)
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready = _stock([*objects, *alarm], left)
        if alarm and alarm[0] in ready:
            sessions.current().store.mend()
            ready.remove(alarm[0])
            if not ready:
                continue
        told = [one for one in ready if not ((watch := _watch(one)) and watch.told_in_vain())]
        # In vain, it is not known whether there is something: asked for its fd, an end makes sure.
        if told or not (ready or _late(objects)):
            return told


def _watch(one: Any) -> Watch | None:
    return one.watch if isinstance(one, Connection) else None


def _alarm(objects: list[Any]) -> list[int]:
    """An fd that tells of the end of the connection that sends, where that matters."""
    if not any(_is_answered(one) for one in objects):
        return []
    alarm = sessions.current().store.alarm()
    return [alarm] if alarm >= 0 else []


def _is_answered(one: Any) -> bool:
    return one.shared if isinstance(one, Connection) else isinstance(one, Incoming)


def _late(objects: list[Any]) -> bool:
    """Whether an end of them has something that its fd did not tell of, and does now."""
    watches = [watch for one in objects if (watch := _watch(one))]
    return bool(watches) and catch_up(sessions.current().store.call, watches)
