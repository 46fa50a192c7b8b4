"""What a process asks of the client's file server, and the errors that come back.

A write is not waited for: the next request that is answered was done after it. What is on its way
is bounded by `WINDOW`, so the store does not fill.
"""

from __future__ import annotations

from typing import Any

from transparent_mp.ship import requests
from transparent_mp.ship.files import TOPIC, inbox_of
from transparent_mp.store.seal import Buffer
from transparent_mp.store.session import Session

#: Bytes written that the client may not have taken yet. Larger: fewer waits for who writes much;
#: smaller: less in the store.
WINDOW = 16 << 20

#: Bytes of one message.
PIECE = 4 << 20


class Remote:
    """The file server as one process sees it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._of = inbox_of(session)
        self._sent = 0
        self._unsettled = False

    def ask(
        self, op: str, named: Any = None, named2: Any = None, /, **fields: Any
    ) -> tuple[dict[str, Any], bytes]:
        """Do it there and wait. Raises the OSError that the client met, with the program's names."""
        lasts = bool(fields.get("wait"))
        head, body = requests.ask(self._session, TOPIC, {"op": op, **fields}, of=self._of, lasts=lasts)
        self._sent, self._unsettled = 0, False
        check(head, named, named2)
        return head, body

    def call(
        self, name: str, *paths: str, named: tuple[Any, ...] = (), follow: bool = True, **with_: Any
    ) -> Any:
        """An operation of `ship.calls`; `named`: the paths as the program has said them."""
        names = (named or paths)[:2]
        head, _ = self.ask("call", *names, name=name, paths=paths, follow=follow, **{"with": with_})
        return head["ok"]

    def send(self, op: str, data: Buffer = b"", **fields: Any) -> None:
        """Have it done, without an answer."""
        requests.send(self._session, TOPIC, {"op": op, **fields}, data, of=self._of)
        self._unsettled = True
        self._sent += len(data)
        if self._sent > WINDOW:
            self.settle()

    def settle(self) -> None:
        """Wait until what was sent has been done."""
        if self._unsettled:
            self.ask("settle")


def check(head: dict[str, Any], path: Any = None, path2: Any = None) -> None:
    """Raise the client's error, if that is the answer, as this process's own."""
    if "errno" not in head:
        return
    if path is None:
        raise OSError(head["errno"], head["text"])
    raise OSError(head["errno"], head["text"], path, None, path2)
