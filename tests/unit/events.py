"""What lies in an inbox, opened."""

from __future__ import annotations

from typing import Any

from transparent_mp.ship.frames import decode
from transparent_mp.store.replay import Seen
from transparent_mp.store.session import Session


def told(session: Session, uid: str = "") -> list[dict[str, Any]]:
    """Heads of the sealed events in the inbox of `uid`, by default the client's."""
    inbox = session.keys("inbox", uid or session.client)
    events = session.store.ask("LRANGE", inbox, 0, -1)
    return [decode(session.open_event(inbox, event, Seen()))[0] for event in events]
