"""The depot: where large contents lie when not in the store. A contract; `launch` has what fulfils it.

A content is named by its SHA-256. It is there from `put` until the session ends, so who sends its digest in a
sealed payload has sent the content.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from transparent_mp.store.seal import Buffer

#: Contents from this size on lie in the depot. Larger: the store, which all workers share, carries more;
#: smaller: an object store's 30 ms are felt, against some 10 ms per MB from a store that is busy.
LARGE = 1 << 20

__all__ = ["LARGE", "Buffer", "Depot"]


class Depot(Protocol):
    """Large contents by digest. Raises DepotError when it cannot do its work."""

    def put(self, digest: str, content: Buffer) -> None:
        """Return when the content is there for everyone."""

    def stream(self, digest: str) -> Iterator[bytes]:
        """The content in pieces. Raises UntrustedPayloadError, after the last, when it is another."""

    def clear(self) -> None:
        """Delete what the session has put there."""
