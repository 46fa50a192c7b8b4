"""Finalizers of multiprocessing's objects that the collector of cycles comes upon in a thread of ours.

A Pool that was dropped is ended by whichever thread the collector happens to run in, which joins the pool's
processes: in the thread that hears of their ends that would be for ever. There a thread of its own does it.

Nothing else about them differs from the standard library.
"""

from __future__ import annotations

import functools
from typing import Any, Callable

from transparent_mp import background


def elsewhere(call: Callable[..., Any]) -> Callable[..., Any]:
    """`Finalize.__call__`, which is given a weak reference where its object was dropped."""

    @functools.wraps(call)
    def finalize(self: Any, wr: Any = None, *args: Any, **kwargs: Any) -> Any:
        if wr is None or not background.is_ours():
            return call(self, wr, *args, **kwargs)
        background.start(functools.partial(call, self, wr, *args, **kwargs))
        return None

    return finalize
