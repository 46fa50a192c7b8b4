"""Who is told of replies: those to casts, and those to commands that went as one script.

It does not know what the replies mean.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Callable, Optional

from transparent_mp.errors import StoreReplyError
from transparent_mp.store.link import Command, Reply

_OnReply = Optional[Callable[[Reply], None]]


class Told:
    """Hands the reply to a cast on; an error is raised by the next command all the same."""

    __slots__ = ("_failed", "_on_reply")

    def __init__(self, on_reply: Callable[[Reply], None], failed: deque[StoreReplyError]) -> None:
        self._on_reply = on_reply
        self._failed = failed

    def __call__(self, reply: Reply) -> None:
        if isinstance(reply, StoreReplyError):
            self._failed.append(reply)
        self._on_reply(reply)


class Several:
    """Hands the replies of one script to those who wait for those of each command."""

    __slots__ = ("_callbacks", "_failed")

    def __init__(
        self,
        steps: Sequence[tuple[Command, _OnReply]],
        failed: deque[StoreReplyError],
    ) -> None:
        self._callbacks = [on_reply for _, on_reply in steps]
        self._failed = failed

    def __call__(self, reply: Reply) -> None:
        several = isinstance(reply, list) and len(reply) == len(self._callbacks)
        if isinstance(reply, StoreReplyError) and not any(self._callbacks):
            self._failed.append(reply)
        for at, on_reply in enumerate(self._callbacks):
            if on_reply is not None:
                on_reply(reply[at] if several else reply)
