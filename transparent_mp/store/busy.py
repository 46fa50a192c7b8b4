"""Holds the collector of cycles off while a thread is in the middle of an exchange on a store's shared link.

A finaliser or signal handler that runs in that thread just then, and uses the store, gets a link aside. One
that waits for another thread would wait for ever, since that needs the store's lock.
"""

from __future__ import annotations

from transparent_mp import collector


class Exchange:
    """Entered with the store's lock held. What an interrupted one leaves, the store's next one takes away."""

    __slots__ = ()

    def __enter__(self) -> None:
        collector.hold_off(self)

    def __exit__(self, *_exc: object) -> None:
        collector.go_on(self)
