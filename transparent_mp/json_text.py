"""JSON of what we say to each other, written without `json`'s own encoder of objects and arrays.

Before Python 3.12 that one interns the brackets it writes, and `marshal` marks what is interned: bytecode
that the program writes later in the same process (`compileall`, an import) would have other bytes than under
plain Python. Nothing of ours may leave a trace in a process.

Lies below every layer. It does not read JSON, which interns nothing.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii
from typing import Any


def dumps(value: Any) -> str:
    """What `json.dumps` writes with the shortest separators."""
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if isinstance(value, dict):
        return f"{{{','.join([f'{_key(key)}:{dumps(each)}' for key, each in value.items()])}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join([dumps(each) for each in value])}]"
    return json.dumps(value)


def _key(key: Any) -> str:
    return encode_basestring_ascii(key if isinstance(key, str) else json.dumps(key))
