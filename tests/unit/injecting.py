"""Has what a signal's handler raises come at each point of an operation in turn.

Python runs a handler when a function begins, when a call returns and in what waits. Those are the events
of a profiler, so it raises at the Nth of them that lies in our code.
"""

from __future__ import annotations

import inspect
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

OURS = "transparent_mp."
#: What runs handlers before it has done anything.
WAITING = frozenset(
    ("acquire", "poll", "recv", "recv_into", "sendall", "connect", "read", "write", "waitpid")
)


class Interrupted(TimeoutError):
    """What many programs' handlers raise."""


class Injector:
    """Raises at one point of what runs in `with injector:`."""

    def __init__(self, at: int) -> None:
        self._left = at
        self._outermost: FrameType | None = None
        #: Where it has raised: function, line, event.
        self.where = ""

    def __enter__(self) -> Injector:
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *_exc: object) -> None:
        sys.setprofile(None)

    def _profile(self, frame: FrameType, event: str, arg: Any) -> None:
        if not frame.f_globals.get("__name__", "").startswith(OURS) or _is_finaliser(frame):
            return
        if self._outermost is None:
            self._outermost = frame
        name = getattr(arg, "__name__", "") if event.startswith("c_") else ""
        if event == "c_call" and name not in WAITING:
            return
        if event == "return" and (frame is self._outermost or not _noticed(frame)):
            return
        self._left -= 1
        if self._left:
            return
        sys.setprofile(None)
        self._outermost = None
        code = frame.f_code
        self.where = f"{frame.f_globals['__name__']}:{frame.f_lineno} {code.co_name} {event} {name}"
        self._handler(signal.SIGUSR1, frame)

    def _handler(self, _number: int, _frame: FrameType) -> None:
        raise Interrupted(self.where)


def _is_finaliser(frame: FrameType | None) -> bool:
    """Whether Python shows what is raised there to nobody: in a `__del__`, or a generator that is closed."""
    while frame is not None and frame.f_globals.get("__name__", "").startswith(OURS):
        if frame.f_code.co_name == "__del__" or frame.f_code.co_flags & inspect.CO_GENERATOR:
            return True
        frame = frame.f_back
    return False


#: Nothing is noticed where a `with` calls; behind an acquire plain Python loses what was acquired, too.
UNNOTICED = frozenset(("__enter__", "acquire", "_acquire_shared"))


def _noticed(frame: FrameType) -> bool:
    """Whether a handler may run when that frame has returned, before its caller goes on."""
    # From Python 3.11 on a function's return is none of the places.
    return sys.version_info < (3, 11) and frame.f_code.co_name not in UNNOTICED


def each_point(step: int = 1) -> Iterator[Injector]:
    """One for each point, until what was run with the last had none left."""
    at = 1
    while True:
        injector = Injector(at)
        yield injector
        if not injector.where:
            return
        at += step
