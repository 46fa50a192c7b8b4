"""A process's inbox: a thread that takes events from the store and hands them to their handlers.

Events are frames; `kind` chooses the handler. Any process that starts others has an inbox (exits
arrive there); the client's also gets output, requests for modules and for workers. They are sealed and
numbered, but for the few that scripts of the store send, which cannot have the secret.

The thread ends with `stop`, or when the store is lost: then every handler for "lost" is told, so
that nobody waits for an event that cannot come.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Callable

from transparent_mp import background
from transparent_mp.errors import StoreError, UntrustedPayloadError
from transparent_mp.ship.frames import Head, decode, encode
from transparent_mp.store.replay import Seen
from transparent_mp.store.session import SEALED, Session

Handler = Callable[[Head, bytes], None]

log = logging.getLogger("transparent_mp")

#: What scripts tell: ends of processes, and that a name of shared memory was taken away.
BY_SCRIPTS = ("exit", "unlinked")


class Inbox:
    """The inbox of one holder. Handlers run in its thread, one after another."""

    def __init__(self, session: Session, of: str = "") -> None:
        """`of`: its name, if it is not that of this process."""
        self._session = session
        self._uid = of or session.uid
        self._key = session.keys("inbox", self._uid)
        self._handlers: dict[str, Handler] = {}
        self._seen = Seen()
        self._ticks: list[Callable[[], None]] = []
        self._ended = threading.Event()
        self._started = False

    def on(self, kind: str, handler: Handler) -> None:
        """Let `handler(head, body)` have every event of that kind."""
        self._handlers[kind] = handler

    def every_tick(self, look: Callable[[], None]) -> None:
        """Call `look` about once in a third of the session's lease."""
        self._ticks.append(look)

    def start(self) -> None:
        self._started = True
        background.start(self._run)

    def stop(self) -> None:
        """End the thread, after what has arrived before."""
        if self._started and not self._ended.is_set():
            self._session.store.cast(*self._session.push_event(self._uid, encode({"kind": "stop"})))
            self._ended.wait(self._session.lease)

    def _run(self) -> None:
        pause = self._session.lease / 3
        due = time.monotonic() + pause
        try:
            while True:
                taken = self._session.store.pop(self._key, max(0.0, due - time.monotonic()))
                if taken is not None and not self._deliver(taken[0]):
                    return
                # Also when events never cease.
                if time.monotonic() >= due:
                    due = time.monotonic() + pause
                    for look in self._ticks:
                        look()
        except StoreError as error:
            lost = self._handlers.get("lost")
            if lost is not None:
                lost({"reason": str(error)}, b"")
        finally:
            self._ended.set()

    def _deliver(self, event: bytes) -> bool:
        try:
            head, body = self._opened(event)
        except ValueError:
            log.warning("an event that is no frame was ignored")
            return True
        except UntrustedPayloadError as error:
            self._session.refused()
            log.warning("%s", error)
            return True
        kind = head.get("kind")
        if kind == "stop":
            return False
        handler = self._handlers.get(str(kind))
        if handler is None:
            log.warning("an event of unknown kind %r was ignored", kind)
            return True
        try:
            handler(head, body)
        except StoreError:
            raise
        except Exception:
            # One bad event must not end the thread that all others come through.
            log.exception("an event of kind %r could not be handled", kind)
        return True

    def _opened(self, event: bytes) -> tuple[Head, bytes]:
        if event.startswith(SEALED):
            return decode(self._session.open_event(self._key, event, self._seen))
        head, body = decode(event)
        if head.get("kind") not in BY_SCRIPTS:
            raise UntrustedPayloadError(
                f"an event of kind {head.get('kind')!r} at {self._key!r} does not carry this session's seal: "
                "something else writes to this Redis under our keys; it was ignored"
            )
        return head, body
