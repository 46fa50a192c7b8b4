"""The Lua scripts: one transition, one file in `lua/`; what several share is in `lua/include/`.

`script(name, keys, args)` is the command that runs one; `loading()` are the commands that make the
store know them all, sent first on a new connection.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from transparent_mp.store.link import Arg, Command

_FOLDER = Path(__file__).with_name("lua")


#: A line that stands for a file of `lua/include/`.
_INCLUDE = re.compile(r"^--@include (\w+)$", re.MULTILINE)


def _included(line: re.Match[str]) -> str:
    return (_FOLDER / "include" / f"{line[1]}.lua").read_text()


@lru_cache(maxsize=1)
def _scripts() -> dict[str, tuple[bytes, str]]:
    found = {}
    for path in sorted(_FOLDER.glob("*.lua")):
        text = _INCLUDE.sub(_included, path.read_text()).encode()
        found[path.stem] = (text, hashlib.sha1(text).hexdigest())  # noqa: S324  the store names scripts so
    return found


def script(name: str, keys: Sequence[str], args: Sequence[Arg] = ()) -> Command:
    """The command that runs lua/NAME.lua."""
    return ("EVALSHA", _scripts()[name][1], len(keys), *keys, *args)


def evaluated(name: str, keys: Sequence[str], args: Sequence[Arg] = ()) -> Command:
    """The same where the scripts may not be loaded yet."""
    return ("EVAL", _scripts()[name][0], len(keys), *keys, *args)


def loading() -> tuple[Command, ...]:
    """The commands that load every script."""
    return tuple(("SCRIPT", "LOAD", text) for text, _sha in _scripts().values())
