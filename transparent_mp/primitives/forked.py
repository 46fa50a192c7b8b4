"""What our modules see to in the child of a fork: the locks, links and objects that were their parent's.

All is called in the order in which it was given, in each child that Python forks. Not in those of a process
that has no part in the session and one thread, and says so: there nothing is to be seen to, and each step
would cost its child memory of its own.

It does not know what is done.
"""

from __future__ import annotations

import os
from typing import Callable

Step = Callable[[], object]


class _Steps:
    """Those of this process."""

    given: list[Step] = []
    left_out = False


def in_child(step: Step) -> None:
    """Have it called in each child."""
    _Steps.given.append(step)


def leave_out(leaves: bool) -> None:
    """Whether this process's children need none of it from here on."""
    _Steps.left_out = leaves


def _run() -> None:
    if _Steps.left_out:
        return
    failed: BaseException | None = None
    for step in _Steps.given:
        try:
            step()
        except BaseException as error:  # noqa: BLE001  a signal handler's; the child needs the others all the same
            failed = error
    if failed is not None:
        # The interpreter reports it.
        raise failed


os.register_at_fork(after_in_child=_run)
