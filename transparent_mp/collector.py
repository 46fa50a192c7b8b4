"""The collector of cycles, held off while finalisers of the program must not run.

They run in whichever thread the collector is started by, and may wait: a Pool joins its processes. In one
that holds a lock of ours they would wait for ever. Reference counts end objects all the same.

A program that switches the collector off just while it is held off finds it switched on again.
"""

from __future__ import annotations

import gc


class _Held:
    """By whom, and whether it was on; changed without a lock, since a finaliser may run in between."""

    by: set[object] = set()
    was_on = False


def hold_off(who: object) -> None:
    """No cycle is collected, by any thread, until everyone who held it off has said go_on()."""
    _Held.by.add(who)
    if gc.isenabled():
        _Held.was_on = True
        gc.disable()


def go_on(who: object) -> None:
    """The other end of a hold_off(), however many of them were cut short in between."""
    _Held.by.discard(who)
    # Again and again, as another thread may come or go in between any two lines.
    while _Held.was_on and not _Held.by:
        _Held.was_on = False
        gc.enable()
        if _Held.by:
            gc.disable()
            _Held.was_on = True


def forget() -> None:
    """In the child of a fork: whoever held it off stayed with the parent."""
    _Held.by = set()
    if _Held.was_on:
        _Held.was_on = False
        gc.enable()
