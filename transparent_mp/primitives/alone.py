"""Knows whether a thread is alone in the program: what it looks at, nobody else can change meanwhile."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import signal
import threading
from typing import Any

from transparent_mp import background
from transparent_mp.primitives import forked

_ident = threading.get_ident
#: Signals that a program may have a handler for.
_SIGNALS = tuple(int(number) for number in signal.valid_signals())
_INTERRUPT = _SIGNALS.index(signal.SIGINT)


def is_alone() -> bool:
    """Whether nothing else of the program can write to memory while this thread merges."""
    return background.count() <= 0 and _is_main() and not runs_handlers()


def runs_handlers() -> bool:
    """Whether a handler of the program's may run in the middle of this thread."""
    if not _is_main():
        return False
    # The signal module's own getsignal looks up a name for each answer. By calls that loop in C: nearly every
    # program has no handler but the one that Python itself has for SIGINT.
    found = list(map(_signal.getsignal, _SIGNALS))
    if found[_INTERRUPT] is signal.default_int_handler and sum(map(callable, found)) == 1:
        return False
    return any(callable(one) and _may_write(one) for one in found)


def _may_write(handler: Any) -> bool:
    ours = str(getattr(handler, "__module__", "")).startswith("transparent_mp.")
    return not ours and handler is not signal.default_int_handler


def _is_main() -> bool:
    return _ident() == _Main.ident


class _Main:
    """The main thread, after a fork the one that has forked."""

    ident = threading.main_thread().ident


def _after_fork_in_child() -> None:
    _Main.ident = _ident()


forked.in_child(_after_fork_in_child)
