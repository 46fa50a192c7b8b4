"""What stands behind one end of a pipe that is shared: the lists of the store, and what is known of them.

What is sent and received there `connection` knows.
"""

from __future__ import annotations

from transparent_mp.primitives import session as sessions
from transparent_mp.primitives import sharing
from transparent_mp.primitives.early import Early
from transparent_mp.primitives.flow import Flow
from transparent_mp.primitives.sent import Sent
from transparent_mp.primitives.watching import Watch


class Shared:
    """What a shared end knows: its hold, and the names of its side and the other."""

    __slots__ = ("carries", "early", "flow", "hold", "inbound", "outbound", "peers", "sent", "watch")

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
        self.flow = Flow(sessions.current(), self.outbound, self.peers, keys.object(hold.oid, f"h{side}"))
        self.sent = Sent()
        #: Whether it is known that contents lie beside this object's messages.
        self.carries = False
