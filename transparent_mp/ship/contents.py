"""Large contents by digest: stored once in a session, whoever refers to them; the largest in its depot.

The digest travels in a sealed payload, so what it names needs no seal of its own: who fetches a
content computes its digest again.

What the client has stored for its processes is dropped again when none of them is left that may ask for it
(`Kept`), but for the last used: the next process often wants the same. What a process on a worker stores for
those it starts itself stays until the session ends, as code does (`lasting`).
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from typing import Any

from transparent_mp.errors import SessionLostError, UntrustedPayloadError
from transparent_mp.store.content import CHUNK, deposit, goes_to_depot, in_chunks, withdraw
from transparent_mp.store.link import Command
from transparent_mp.store.scripts import script
from transparent_mp.store.session import Session

#: What stands in the store for a content that lies in the depot; no content is empty.
IN_DEPOT = b""

#: Bytes of contents that stay in the store though nobody is left who may ask for them. Larger: the next
#: process finds more of what it needs; smaller: less of the store.
KEEP = 256 * 1024 * 1024


def put(
    session: Session, contents: Mapping[str, Any], known: set[str], *, lasting: bool = True
) -> list[Command]:
    """Commands that store what the session does not have yet; `known` is what this process has stored."""
    commands: list[Command] = []
    for digest, content in contents.items():
        if digest not in known:
            known.add(digest)
            key = session.keys("content", digest)
            view = memoryview(content).cast("B")
            # Known before it comes: who sends it may be killed meanwhile.
            commands.append(("SADD", session.keys("keys"), key))
            # Another process may have stored it: then this replaces it by the same.
            if goes_to_depot(session, len(view)):
                commands += [*deposit(session, digest, view), ("HSET", key, 0, IN_DEPOT)]
            else:
                commands += in_chunks(key, view)
            commands.append(("PEXPIRE", key, session.ttl))
            if lasting:
                names = session.keys("lasting")
                commands += [("SADD", names, digest), ("PEXPIRE", names, session.ttl)]
                commands += [("SADD", session.keys("keys"), names)]
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
            if chunk is None:
                raise SessionLostError(f"the content {digest[:12]} has gone from the store while it was read")
        seen.update(chunk)
        yield chunk
    if seen.hexdigest() != digest:
        session.refused()
        raise UntrustedPayloadError(f"the content {digest[:12]} is not what its digest says and was not used")


def get(session: Session, digest: str) -> bytes:
    """The whole content. Raises as `stream` does."""
    chunks = list(stream(session, digest))
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class Kept:
    """The client's book of the contents that it has stored, and who may ask for them. Thread-safe."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._users: dict[str, set[str]] = {}
        #: Bytes in the store of those without users, the last used last.
        self._unused: OrderedDict[str, int] = OrderedDict()
        self._sizes: dict[str, int] = {}
        #: Users that finalisers have released, which may run while the lock is held.
        self._gone: deque[str] = deque()

    def use(self, user: str, sizes: Mapping[str, int]) -> None:
        """`user` may ask for contents of these digests, until it is released; to be stored if not there."""
        self._release_gone()
        with self._lock:
            for digest, size in sizes.items():
                self._users.setdefault(digest, set()).add(user)
                self._sizes[digest] = 0 if goes_to_depot(self._session, size) else size
                self._unused.pop(digest, None)

    def release_soon(self, user: str) -> None:
        """`release` that takes no lock: done when the book is next written."""
        self._gone.append(user)

    def release(self, user: str) -> None:
        """What nobody may ask for any more goes, when the last used take more than KEEP."""
        self._release_gone()
        self._release(user)

    def _release_gone(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._release(self._gone.popleft())

    def _release(self, user: str) -> None:
        with self._lock:
            for digest in [digest for digest, users in self._users.items() if user in users]:
                self._users[digest].remove(user)
                if not self._users[digest]:
                    del self._users[digest]
                    self._unused[digest] = self._sizes.pop(digest)
            total = sum(self._unused.values())
            while total > KEEP:
                digest, size = self._unused.popitem(last=False)
                total -= size
                # With the lock held: whoever looks whether it is there looks later.
                self._drop(digest)

    def _drop(self, digest: str) -> None:
        keys = self._session.keys
        names = keys("content", digest), keys("lasting"), keys("keys")
        self._session.store.soon(script("drop_content", names, (digest,)))
