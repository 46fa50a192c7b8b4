"""What a message has brought, as the standard library's connections read it.

They read from a BytesIO, which would copy it.
"""

from __future__ import annotations

from typing import Any

from transparent_mp.store.seal import Buffer


class Content:
    """As much of a BytesIO, read to its end, as is asked for."""

    def __init__(self, content: Buffer) -> None:
        self._content = memoryview(content)

    def getbuffer(self) -> memoryview:
        return self._content

    def getvalue(self) -> bytes:
        return bytes(self._content)

    def tell(self) -> int:
        return len(self._content)

    def seek(self, _to: int) -> None:
        """The next is readinto()."""

    def readinto(self, into: Any) -> int:
        memoryview(into).cast("B")[: len(self._content)] = self._content
        return len(self._content)
