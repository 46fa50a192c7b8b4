"""What modules have registered with the interpreter to be called around a fork, without that of some of them.

    leave_out    take from the interpreter's lists what some modules have registered
    Left.back    put it there again, as it was

Each fork calls them before, and its child after it. What they see to (threads and locks that stayed with the
parent, links, replicas) is not there in a process of one thread that has no part in the session, and to call
them costs its child a third of its time until its first instruction, memory of its own for each of them.

Python has no name for these lists, but what is registered refers to nobody else: so who refers to something
that was registered just for that is one of them. Where that is not so, all are called.

It does not know who forks, and which of them are of no use.
"""

from __future__ import annotations

import gc
import os
from typing import Any, Callable, NamedTuple


class Left(NamedTuple):
    """The interpreter's lists, and what was in each."""

    lists: list[list[Any]]
    were: list[list[Any]]

    def back(self) -> None:
        for one, was in zip(self.lists, self.were):
            one[:] = was


def leave_out(modules: Callable[[str], bool], lists: list[list[Any]] | None = None) -> Left:
    """Have nothing called, around the forks to come, that is of a module of such a name."""
    lists = _LISTS if lists is None else lists
    left = Left(lists, [list(one) for one in lists])
    for one in lists:
        one[:] = [each for each in one if not modules(_module(each))]
    return left


def _lists() -> list[list[Any]]:
    marks: list[Any] = [lambda: None for _ in range(3)]
    before, in_parent, in_child = marks
    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)
    frozen, collects = gc.get_freeze_count(), gc.isenabled()
    # Those that are frozen are not looked through.
    gc.disable()
    gc.unfreeze()
    try:
        found = [one for one in gc.get_referrers(*marks) if type(one) is list and one is not marks]
    finally:
        if frozen:
            gc.freeze()
        if collects:
            gc.enable()
    for one in found:
        one[:] = [each for each in one if not any(each is mark for mark in marks)]
    return found if len(found) == len(marks) else []


def _module(registered: Any) -> str:
    """Of a function or method; '' of what a lock or other object of the interpreter does."""
    return str(getattr(getattr(registered, "__func__", registered), "__module__", None) or "")


#: Looked for as early as possible: every object that there is, is looked at.
_LISTS = _lists()
