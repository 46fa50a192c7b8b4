"""Frames: what travels in inboxes and control lists. A line of JSON, then a body of bytes.

The head is never trusted with code: nothing in it is unpickled or executed. A body that is code
(a process, a module) carries the session's seal.
"""

from __future__ import annotations

from typing import Any

from transparent_mp.json_text import dumps, loads

Head = dict[str, Any]

#: Length of what tells how long the first of a pair is.
_LENGTH = 8


def encode(head: Head, body: bytes = b"") -> bytes:
    """One frame."""
    return dumps(head).encode() + b"\n" + body


def decode(frame: bytes) -> tuple[Head, bytes]:
    """Head and body of a frame; raises ValueError when it is none."""
    line, _, body = frame.partition(b"\n")
    try:
        head = loads(line)
    except RecursionError:
        raise ValueError("a frame's head is too deep") from None
    if not isinstance(head, dict):
        raise ValueError("a frame's head is not an object")
    return head, body


def pair(first: bytes, second: bytes | memoryview) -> bytes:
    """Two contents as one, which nobody has to unpickle to part them."""
    return b"".join((len(first).to_bytes(_LENGTH, "big"), first, second))


def parted(content: bytes | bytearray | memoryview) -> tuple[memoryview, memoryview]:
    """The two of a pair."""
    view = memoryview(content)
    end = _LENGTH + int.from_bytes(view[:_LENGTH], "big")
    return view[_LENGTH:end], view[end:]
