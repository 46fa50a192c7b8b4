from __future__ import annotations

import gc
import sys
from types import FrameType
from typing import Any

import pytest

from transparent_mp.store.busy import Exchange
from transparent_mp.store.session import OwnedSession


@pytest.mark.parametrize("name", ["__enter__", "__exit__"])
def test_a_handler_that_raises_as_one_begins_or_ends_leaves_nothing_behind(
    session: OwnedSession, name: str
) -> None:
    store = session.store
    code = getattr(Exchange, name).__code__

    def trace(frame: FrameType, event: str, _arg: object) -> Any:
        if event == "call" and frame.f_code is code:
            raise InterruptedError
        return None

    sys.settrace(trace)
    try:
        with pytest.raises(InterruptedError):
            store.ask("SET", "a", 1)
    finally:
        sys.settrace(None)
    assert not store.amid()
    waits, seen = store.waits, []
    # On the shared line, as ever, and so behind what was cast there.
    store.cast(("INCR", "a"), on_reply=seen.append)
    assert not seen
    assert store.ask("GET", "a") in (b"1", b"2")
    assert store.waits == waits + 1
    assert seen
    assert gc.isenabled()
