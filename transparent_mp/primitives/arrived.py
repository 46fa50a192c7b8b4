"""What a message has brought, as the standard library's connections read it.

They read from a BytesIO, which would copy it.
"""

from __future__ import annotations

from typing import Any

from transparent_mp.primitives import pickling
from transparent_mp.store.pieces import Payload


class Content:
    """As much of a BytesIO, read to its end, as is asked for."""

    def __init__(self, content: Payload) -> None:
        self._received = content

    @property
    def _content(self) -> memoryview:
        self._received = content = pickling.plain(self._received)
        return memoryview(content)

    def unpickled(self) -> Any:
        """The object that was sent."""
        return pickling.loads(self._received)

    def getbuffer(self) -> memoryview:
        return self._content

    def getvalue(self) -> bytes:
        return bytes(self._content)

    def tell(self) -> int:
        return len(self._content)

    def seek(self, _to: int) -> None:
        """The next is readinto()."""

    def readinto(self, into: Any) -> int:
        content = self._content
        memoryview(into).cast("B")[: len(content)] = content
        return len(content)
