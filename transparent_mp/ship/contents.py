"""Large contents by digest: stored once in a session, whoever refers to them; the largest in its depot.

The digest travels in a sealed payload, so what it names needs no seal of its own: who fetches a
content computes its digest again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from transparent_mp.errors import SessionLostError, UntrustedPayloadError
from transparent_mp.store.content import CHUNK, deposit, goes_to_depot, withdraw
from transparent_mp.store.link import Command
from transparent_mp.store.seal import Buffer
from transparent_mp.store.session import Session

#: What stands in the store for a content that lies in the depot; no content is empty.
IN_DEPOT = b""


def put(session: Session, contents: Mapping[str, Any], known: set[str]) -> list[Command]:
    """Commands that store what the session does not have yet; `known` is what this process has stored."""
    commands: list[Command] = []
    for digest, content in contents.items():
        if digest not in known:
            known.add(digest)
            key = session.keys("content", digest)
            view = memoryview(content).cast("B")
            chunks: Sequence[Buffer] = [view[at : at + CHUNK] for at in range(0, len(view), CHUNK)]
            if goes_to_depot(session, len(view)):
                commands += deposit(session, digest, view)
                chunks = [IN_DEPOT]
            # Another process may have stored it: then this replaces it by the same.
            commands.append(("DEL", key))
            commands += [("RPUSH", key, chunk) for chunk in chunks]
            commands += [("PEXPIRE", key, session.ttl), ("SADD", session.keys("keys"), key)]
    return commands


def has(session: Session, digest: str, size: int) -> bool:
    """Whether the session has the whole content, which is `size` bytes long."""
    chunks: int = session.store.ask("LLEN", session.keys("content", digest))
    return chunks == (1 if goes_to_depot(session, size) else -(-size // CHUNK))


def stream(session: Session, digest: str) -> Iterator[bytes]:
    """The content, chunk by chunk, so that no more than one is in memory.

    Raises SessionLostError when it is gone, UntrustedPayloadError, after the last chunk, when it is another.
    """
    key = session.keys("content", digest)
    count, chunks = session.store.call(("LLEN", key), ("LRANGE", key, 0, 0))
    if not chunks:
        raise SessionLostError(f"the content {digest[:12]} is no longer in the store: has the session ended?")
    if chunks == [IN_DEPOT]:
        yield from withdraw(session, digest)
        return
    seen = hashlib.sha256()
    for at in range(count):
        if at:
            chunks = session.store.ask("LRANGE", key, at, at)
        seen.update(chunks[0])
        yield chunks[0]
    if seen.hexdigest() != digest:
        raise UntrustedPayloadError(f"the content {digest[:12]} is not what its digest says and was not used")


def get(session: Session, digest: str) -> bytes:
    """The whole content. Raises as `stream` does."""
    chunks = list(stream(session, digest))
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
