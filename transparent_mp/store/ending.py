"""What becomes of the threads that use the store while their process leaves its session.

At the end of a program only its daemon threads are left. In plain Python one that waits for an item waits
until the interpreter takes it down, and says nothing. Here what it waits on goes before:

    park   who waits goes on waiting, with whatever it holds
    meet   who finds the store gone is ended: by SystemExit, which `threading` passes over in silence

Threads of our own, and the one that leaves, are told by an error.
"""

from __future__ import annotations

import _thread

from transparent_mp import background


class Ending:
    """Of one process's part in a session."""

    __slots__ = ("_leaver",)

    def __init__(self) -> None:
        self._leaver = 0

    def begin(self) -> None:
        """The calling thread leaves the session."""
        self._leaver = _thread.get_ident()

    def meet(self) -> None:
        """The store cannot be used: raise SystemExit in a thread that ends with the session."""
        if self._leaver and self._ends():
            raise SystemExit from None

    def park(self) -> None:
        """What is waited for has happened, or nothing ever will: do not return to a thread that ends."""
        if self._leaver and self._ends():
            never = _thread.allocate_lock()
            never.acquire()
            never.acquire()

    def _ends(self) -> bool:
        return self._leaver != _thread.get_ident() and not background.is_ours()
