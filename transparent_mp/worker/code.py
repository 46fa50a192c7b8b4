"""The client's code as a process gets it: batches from this worker's pantry, or from the client.

A process is told at its start which batches are current. It relies on that until it has received
anything (every wait for the store counts): what the client does later it can know of only by a message,
and from then on it asks what is current before it imports. So a file that the client changed before it
sent a message is never imported as it was.

It does not import; `importer` does.
"""

from __future__ import annotations

from typing import Any, Callable

from transparent_mp.ship import contents
from transparent_mp.ship.frames import decode
from transparent_mp.store.content import CHUNK
from transparent_mp.store.session import Session
from transparent_mp.worker.pantry import Pantry

Ask = Callable[[str, dict[str, Any]], "tuple[dict[str, Any], bytes]"]
Batch = tuple[dict[str, Any], bytes]


class Code:
    """What the importer asks; see `ship.modules` for requests and answers."""

    def __init__(self, session: Session, ask: Ask, pantry: Pantry, current: dict[str, str] | None) -> None:
        """`current`: asked name -> batch; None when the process was started by one who does not know."""
        self._session = session
        self._ask = ask
        self.pantry = pantry
        self._current = current or {}
        self._loaded: dict[str, Batch] = {}
        # Waits of this process until which `_current` is true.
        self._known = -1 if current is None else session.store.waits
        #: Counts the times when what was known was thrown away.
        self.edition = 0

    def ask(self, kind: str, request: dict[str, Any]) -> Batch:
        """Header and body of the answer."""
        return self.module(str(request["name"])) if kind == "module" else self._ask(kind, request)

    def refresh(self) -> int:
        """See to it that what is known is current; answers the edition."""
        waits = self._session.store.waits
        if waits != self._known:
            current = self._ask("current", {})[0]["current"]
            if current != self._current:
                self._current = current
                self.edition += 1
            # Our own request is no message. If another thread has received one meanwhile, that counts.
            self._known = waits + 1 if self._session.store.waits == waits + 1 else -1
        return self.edition

    def module(self, name: str) -> Batch:
        """A batch that tells of the module."""
        found = self._found(name)
        if found is not None:
            return found
        waits = self._session.store.waits
        header, content = self._ask("module", {"name": name})
        trips = 1
        if "batch" not in header:
            return header, content
        digest = header["batch"]
        if not content:
            content = self.pantry.content(digest) or b""
            if not content:
                content = contents.get(self._session, digest)
                trips += -(-len(content) // CHUNK)
                self.pantry.put(digest, content)
        else:
            self.pantry.put(digest, content)
        if self._known == waits and self._session.store.waits == waits + trips:
            self._known += trips
        self._current[header["asked"]] = digest
        self._loaded[digest] = decode(content)
        return self._loaded[digest]

    def _found(self, name: str) -> Batch | None:
        """A current batch of this worker that tells of the module: its own, a package's, a neighbour's."""
        parts = name.split(".")
        likely = [".".join(parts[: end + 1]) for end in reversed(range(len(parts)))]
        for asked in dict.fromkeys([*likely, *self._current]):
            batch = self._batch(self._current.get(asked, ""))
            if batch is not None and _tells(batch[0], name, asked):
                return batch
        return None

    def _batch(self, digest: str) -> Batch | None:
        if digest and digest not in self._loaded:
            content = self.pantry.content(digest)
            if content is not None:
                self._loaded[digest] = decode(content)
        return self._loaded.get(digest)


def _tells(header: dict[str, Any], name: str, asked: str) -> bool:
    for entry in header["modules"]:
        if entry["name"] == name:
            # A compiled module is listed with its package, and has its bytes when it was asked for.
            return entry["size"] is not None or name == asked
    return name.rpartition(".")[0] in header["complete"]
