"""What surrounds an exchange on a store's shared link, and what has to go on when one is interrupted.

A finaliser or signal handler that runs in it just then, and uses the store, gets a link aside. One that waits
for another thread would wait for ever, since that needs the store's lock: cycles are not collected meanwhile.
Who is in the middle of one the lock itself tells: a note of it could be left behind by what a handler raises.
"""

from __future__ import annotations

from typing import Any, Callable

from transparent_mp import collector
from transparent_mp.errors import StoreError
from transparent_mp.store.ending import Ending


class Exchange:
    """Entered with the store's lock held. What an interrupted one leaves, the store's next one takes away."""

    __slots__ = ("_ending",)

    def __init__(self, ending: Ending) -> None:
        self._ending = ending

    __enter__ = collector.hold_off

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        collector.go_on(self)
        if isinstance(error, StoreError):
            self._ending.meet()


def unless_taken(lock: Any, work: Callable[[], bool]) -> bool:
    """What it answers with that RLock held; False when somebody has it, this thread included."""
    # Asked for by a method of its own, which `with` has no word for; let go of whatever a handler raises.
    owned = lock._is_owned
    if owned():
        return False
    try:
        try:
            if not lock.acquire(blocking=False):
                return False
            return work()
        finally:
            if owned():
                lock.release()
    except BaseException:
        if owned():
            lock.release()
        raise
