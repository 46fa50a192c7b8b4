"""Which shared locks a process has acquired, in memory that outlives it: its supervisor says who had them.

    note, forget    by the process; where nobody would read it, neither does anything
    objects         for who has seen the process end

    leave           by the supervisor: a lock that is not free was held by that process
    look            by who waits for a lock: whether such a one had it, and whether to wait on is of use

A machine that vanishes takes it along. It changes nothing about a lock: as in the standard library one whose
holder has died stays acquired.
"""

from __future__ import annotations

import logging
import mmap
import re
from multiprocessing import process

from transparent_mp.primitives import forked
from transparent_mp.store.link import Command
from transparent_mp.store.scripts import script
from transparent_mp.store.session import ID, Session

log = logging.getLogger("transparent_mp")

#: Locks that are noted at once; of more, those acquired first.
SLOTS = 256
#: Seconds of waiting after which it is looked who had the lock, and again after twice as many: nobody tells
#: who waits of an end. Shorter: a look for more waits that end well; longer: a deadlock is named later.
AFTER = 5.0

_NOBODY = bytes(ID)
_IS_ONE = re.compile(rb"[0-9a-f]{%d}" % ID)


class Held:
    """Made by a supervisor before it forks; written by the child, read when that has ended."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, SLOTS * ID)
        self._free = list(range(0, SLOTS * ID, ID))

    def note(self, oid: str) -> int:
        """A lock is acquired; returns what forget() is to be given, -1 when there is no room."""
        try:
            at = self._free.pop()
        except IndexError:
            return -1
        self._memory[at : at + ID] = oid.encode()
        return at

    def forget(self, at: int) -> None:
        self._memory[at : at + ID] = _NOBODY
        self._free.append(at)

    @property
    def empty(self) -> bool:
        """Whether this process has acquired none, as far as known."""
        return len(self._free) == SLOTS

    def objects(self) -> list[str]:
        """Object ids; what the program has overwritten is none."""
        found = (self._memory[at : at + ID] for at in range(0, SLOTS * ID, ID))
        return [oid.decode() for oid in found if _IS_ONE.fullmatch(oid)]

    def renew(self) -> None:
        """By who has made it: it is to be another process's."""
        self._memory[:] = bytes(SLOTS * ID)

    def close(self) -> None:
        self._memory.close()


class _Own:
    """That of this process, if whoever has forked it looks at one."""

    held: Held | None = None


def become_own(held: Held | None) -> None:
    """In a child that a supervisor has forked."""
    _Own.held = held


def note(oid: str) -> int:
    """This process has acquired that lock; returns what forget() is to be given."""
    return -1 if _Own.held is None else _Own.held.note(oid)


def forget(at: int) -> None:
    """It has released it."""
    if at >= 0 and _Own.held is not None:
        _Own.held.forget(at)


def leave(session: Session, held: Held, pid: int, code: int, worker: str) -> list[Command]:
    """Commands for when a process has ended: who waits for what it held can find out."""
    place = session.keys("process", pid)
    return [
        script(
            "leave_locked",
            (
                session.keys.object(oid, "q0"),
                session.keys.object(oid, "v"),
                place,
                session.keys.object(oid, "h0"),
            ),
            (pid, worker, code, session.ttl),
        )
        for oid in held.objects()
    ]


def look(session: Session, oid: str, waited: float) -> float | None:
    """See `store.pops.Looks`: tells once that the lock's holder has died."""
    if waited:
        found = session.store.ask("HMGET", session.keys.object(oid, "v"), "name", "pid", "worker", "code")
        if found[0] is not None:
            name, pid, worker, code = (part.decode(errors="replace") for part in found)
            log.warning(
                "%s has waited for %.0f s for a lock that %s (pid %s, worker %s) held when it ended with "
                "exit code %s: as in the standard library it stays locked, until another process releases it",
                *(process.current_process().name, waited, name, pid, worker, code),
            )
            return None
    # Each time after twice as many.
    return waited + AFTER


def _after_fork_in_child() -> None:
    # What the parent holds is the parent's to tell.
    _Own.held = None


forked.in_child(_after_fork_in_child)
