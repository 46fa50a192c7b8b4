"""JSON of what we say to each other, beside the names of `json`.

A program may replace those. And before Python 3.12 `json`'s encoder of objects and arrays interns the
brackets it writes, and `marshal` marks what is interned: bytecode that the program writes later in the same
process (`compileall`, an import) would have other bytes than under plain Python.

Lies below every layer.
"""

from __future__ import annotations

from json.decoder import JSONDecoder
from json.encoder import JSONEncoder, encode_basestring_ascii
from typing import Any

# Not as constants: `marshal` keeps the mark of what was interned where they were compiled (by pip, say), and
# who loads them has them interned.
_OBJECT, _OBJECT_END, _ARRAY, _ARRAY_END = map(chr, (123, 125, 91, 93))

#: For what is neither text nor holds anything.
_scalar = JSONEncoder().encode
_decode = JSONDecoder().decode


def dumps(value: Any) -> str:
    """What `json.dumps` writes with the shortest separators."""
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if isinstance(value, dict):
        return _OBJECT + ",".join([f"{_key(key)}:{dumps(each)}" for key, each in value.items()]) + _OBJECT_END
    if isinstance(value, (list, tuple)):
        return _ARRAY + ",".join([dumps(each) for each in value]) + _ARRAY_END
    # An encoder takes ten times as long to begin.
    return int.__repr__(value) if type(value) is int else _scalar(value)


def _key(key: Any) -> str:
    return encode_basestring_ascii(key if isinstance(key, str) else _scalar(key))


def loads(text: str | bytes) -> Any:
    """What the text means; raises ValueError."""
    return _decode(text if isinstance(text, str) else text.decode())
