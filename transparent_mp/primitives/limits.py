"""What the kernel holds of a process and a forked one inherits: limits, niceness, blocked signals.

Pairs of functions for rows of `settings`. A worker's own limits hold too: what its machine does not allow, no
process on it gets.
"""

from __future__ import annotations

import os
import resource
import signal

_LIMITS = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]


def limits() -> dict[int, tuple[int, int]]:
    """Soft and hard, by number."""
    return {number: resource.getrlimit(number) for number in _LIMITS}


def set_limits(wanted: dict[int, tuple[int, int]]) -> None:
    """The soft ones, as far as they go here; the hard ones cannot be taken back and stay."""
    for number, (soft, _) in wanted.items():
        now, hard = resource.getrlimit(number)
        if hard != resource.RLIM_INFINITY:
            soft = hard if soft == resource.RLIM_INFINITY else min(soft, hard)
        if soft != now:
            resource.setrlimit(number, (soft, hard))


def niceness() -> int:
    """Of this process."""
    return os.getpriority(os.PRIO_PROCESS, 0)


def set_niceness(value: int) -> None:
    """Only upwards: the other way needs a right."""
    if value > niceness():
        os.setpriority(os.PRIO_PROCESS, 0, value)


def blocked() -> list[int]:
    """Numbers of the signals that this thread blocks."""
    return [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())]


def block(numbers: list[int]) -> None:
    """Those and no others."""
    signal.pthread_sigmask(signal.SIG_SETMASK, numbers)
