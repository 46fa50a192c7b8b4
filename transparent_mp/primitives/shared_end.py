"""What stands behind one end of a pipe that is shared: the lists of the store, and what is known of them.

What is sent and received there `connection` knows.
"""

from __future__ import annotations

from typing import Any

from transparent_mp.primitives import session as sessions
from transparent_mp.primitives import sharing
from transparent_mp.primitives.early import Early
from transparent_mp.primitives.flow import Flow
from transparent_mp.primitives.sent import Sent
from transparent_mp.primitives.streaming import Stream
from transparent_mp.primitives.watching import Watch
from transparent_mp.store.scripts import script


class Shared:
    """What a shared end knows: its hold, and the names of its side and the other."""

    __slots__ = (
        "carries",
        "early",
        "flow",
        "hold",
        "inbound",
        "outbound",
        "peers",
        "push",
        "sent",
        "stream",
        "watch",
    )

    def __init__(self, hold: sharing.Hold) -> None:
        keys = sessions.current().keys
        side, other = hold.side, 1 - hold.side
        self.hold = hold
        self.inbound = keys.object(hold.oid, f"q{side}")
        self.outbound = keys.object(hold.oid, f"q{other}")
        self.peers = keys.object(hold.oid, f"h{other}")
        self.watch: Watch | None = None
        #: For an end that no other process can read, or perhaps none again.
        self.early: Early | None = None
        #: For one of a queue, from which messages are taken one after the other.
        self.stream: Stream | None = None
        #: What sends a message there, but for the message.
        self.push = script("push", (self.peers, self.outbound), (str(sessions.current().ttl),))
        self.flow = Flow(sessions.current(), self.outbound, self.peers, keys.object(hold.oid, f"h{side}"))
        self.sent = Sent()
        #: Whether it is known that contents lie beside this object's messages.
        self.carries = False

    def streamed(self, found: list[Any]) -> bool:
        """Whether `found` has the next message, which lay there with others.

        Not once there is a watch, which tells of what is in the list.
        """
        return self.stream is not None and self.watch is None and self.stream.take(found)
