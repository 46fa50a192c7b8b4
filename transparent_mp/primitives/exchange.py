"""The background exchange: memory that is polled without any synchronisation changes all the same.

A daemon thread publishes and fetches every EVERY seconds, unless the process has done both itself
since, and never spends more than a tenth of its time on it. It ends when nothing is attached any
more, and starts again with the next segment. A store that fails is reported once.

Nothing that synchronises relies on it: it may freeze with its worker.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

from transparent_mp import background

#: Seconds between two exchanges. Longer: a polled value is seen later (two of them and a round
#: trip, at worst); shorter: more commands for values that nobody changes.
EVERY = 0.02
#: Pauses are this many times as long as the exchange took, so that large segments, which take long
#: to compare, do not take the processor from the program.
REST = 10
#: Seconds until the next attempt after the store failed, and to wait for the thread to stop.
AFTER_FAILURE = 1.0


class Exchanging(Protocol):
    """What the exchange needs of an engine."""

    published: int
    merged: int

    @property
    def attached(self) -> tuple[object, ...]:
        """Segments; empty when nothing is shared."""

    def poll(self) -> None:
        """Publish and fetch."""


class Exchange:
    """The thread and what ends it."""

    def __init__(self, engine: Exchanging) -> None:
        self._engine = engine
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._running = False
        #: Set while the thread does not run.
        self.ended = threading.Event()
        self.ended.set()
        self._failed = False

    def start(self) -> bool:
        """Run, if it does not yet; returns False when it was stopped for good."""
        with self._lock:
            if not self._running and not self._stop.is_set():
                self._running = True
                self.ended.clear()
                background.start(self._run)
            return not self._stop.is_set()

    def stop(self) -> None:
        """End the thread and see it go; a store that does not answer may keep it a little longer."""
        self._stop.set()
        self.ended.wait(AFTER_FAILURE)

    def _run(self) -> None:
        idle = False
        try:
            idle = self._work()
        finally:
            if not idle:
                with self._lock:
                    self._end()

    def _end(self) -> None:
        self._running = False
        self.ended.set()

    def _work(self) -> bool:
        engine = self._engine
        pause, seen = EVERY, (engine.published, engine.merged)
        while not self._stop.wait(pause):
            with self._lock:
                if not engine.attached:
                    # In one step with the look, so that the next segment starts another thread.
                    self._end()
                    return True
            pause = EVERY
            if engine.published == seen[0] or engine.merged == seen[1]:
                pause = self._once()
            seen = (engine.published, engine.merged)
        return False

    def _once(self) -> float:
        """Exchange; returns the seconds to rest."""
        begun = time.monotonic()
        try:
            self._engine.poll()
        except OSError as error:
            if not self._failed and not self._stop.is_set():
                self._failed = True
                # Only now: it is not needed otherwise.
                import logging

                logging.getLogger("transparent_mp").warning(
                    "shared memory that is polled is not up to date: %s", error
                )
            return AFTER_FAILURE
        self._failed = False
        return max(EVERY, REST * (time.monotonic() - begun))
