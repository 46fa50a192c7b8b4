"""Large contents by digest: stored once in a session, whoever refers to them; the largest in its depot.

The digest travels in a sealed payload, so what it names needs no seal of its own: who fetches a
content computes its digest again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from transparent_mp.errors import SessionLostError, UntrustedPayloadError
from transparent_mp.store.content import CHUNK, deposit, goes_to_depot, in_chunks, withdraw
from transparent_mp.store.link import Command
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
            # Another process may have stored it: then this replaces it by the same.
            if goes_to_depot(session, len(view)):
                commands += [*deposit(session, digest, view), ("HSET", key, 0, IN_DEPOT)]
            else:
                commands += in_chunks(key, view)
            commands += [("PEXPIRE", key, session.ttl), ("SADD", session.keys("keys"), key)]
    return commands


def has(session: Session, digest: str, size: int) -> bool:
    """Whether the session has the whole content, which is `size` bytes long."""
    chunks: int = session.store.ask("HLEN", session.keys("content", digest))
    return chunks == (1 if goes_to_depot(session, size) else -(-size // CHUNK))


def stream(session: Session, digest: str) -> Iterator[bytes]:
    """The content, chunk by chunk, so that no more than one is in memory.

    Raises SessionLostError when it is gone, UntrustedPayloadError, after the last chunk, when it is another.
    """
    key = session.keys("content", digest)
    count, chunk = session.store.call(("HLEN", key), ("HGET", key, 0))
    if chunk is None:
        raise SessionLostError(f"the content {digest[:12]} is no longer in the store: has the session ended?")
    if chunk == IN_DEPOT:
        yield from withdraw(session, digest)
        return
    seen = hashlib.sha256()
    for at in range(count):
        if at:
            chunk = session.store.ask("HGET", key, at)
        seen.update(chunk)
        yield chunk
    if seen.hexdigest() != digest:
        raise UntrustedPayloadError(f"the content {digest[:12]} is not what its digest says and was not used")


def get(session: Session, digest: str) -> bytes:
    """The whole content. Raises as `stream` does."""
    chunks = list(stream(session, digest))
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
