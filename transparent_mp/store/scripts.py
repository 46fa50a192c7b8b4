"""The Lua scripts: one transition, one file in `lua/`; what several share is in `lua/include/`.

A script that changes something is a step of a line (`line`), and `lua/include/once.lua` stands around it.

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

#: Scripts that are no step of a line: one only reads, one makes the line, two end it, one knows by itself
#: that it was applied.
_AS_IT_IS = ("admit", "done", "drained", "end_session", "fetch")
#: What the arguments of a step end with where it is not one of a line; `line` puts its own in the place.
NO_LINE = ("", "0")
_END = -len(NO_LINE)
#: Where `once` takes in a script.
_BODY = "--@body"

_FOLDER = Path(__file__).with_name("lua")


#: A line that stands for a file of `lua/include/`.
_INCLUDE = re.compile(r"^--@include (\w+)$", re.MULTILINE)


#: A line that stands for a function that does what a script does.
_FUNCTION = re.compile(r"^--@function (\w+)$", re.MULTILINE)
#: Words of a command up to which it is done together with another: its script copies them.
FEW = 64


def _included(line: re.Match[str]) -> str:
    return (_FOLDER / "include" / f"{line[1]}.lua").read_text()


def _as_function(line: re.Match[str]) -> str:
    return f"local function {line[1]}(KEYS, ARGV)\n{(_FOLDER / f'{line[1]}.lua').read_text()}\nend"


@lru_cache(maxsize=1)
def _scripts() -> dict[str, tuple[bytes, str]]:
    found = {}
    for path in sorted(_FOLDER.glob("*.lua")):
        lines = _FUNCTION.sub(_as_function, path.read_text())
        if path.stem not in _AS_IT_IS:
            lines = (_FOLDER / "include" / "once.lua").read_text().replace(_BODY, lines)
        text = _INCLUDE.sub(_included, lines).encode()
        found[path.stem] = (text, hashlib.sha1(text).hexdigest())  # noqa: S324  the store names scripts so
    return found


@lru_cache(maxsize=1)
def numbered() -> frozenset[str]:
    """The digests of the scripts that are steps of a line."""
    return frozenset(sha for name, (_text, sha) in _scripts().items() if name not in _AS_IT_IS)


def script(name: str, keys: Sequence[str], args: Sequence[Arg] = ()) -> Command:
    """The command that runs lua/NAME.lua."""
    end = () if name in _AS_IT_IS else NO_LINE
    # What is text already need not be spelled when it is sent.
    return ("EVALSHA", _scripts()[name][1], str(len(keys)), *keys, *args, *end)


def with_words(command: Command, *words: Arg) -> Command:
    """The command that runs a script of a line with more arguments."""
    return (*command[:_END], *words, *NO_LINE)


def together(*commands: Command) -> Sequence[Command]:
    """Commands, of which the last two are one where a script does what they do one after the other."""
    if len(commands) < 2:
        return commands
    *before, first, second = commands
    both = _both().get((first[1], second[1])) if len(first) <= FEW else None
    if both is None:
        return commands
    args, others, end = 3 + int(first[2]), 3 + int(second[2]), len(NO_LINE)
    if len(second) != others + 2 + end:
        return commands
    keys = str(args + others - 6)
    # Both end with the same words.
    return (*before, ("EVALSHA", both, keys, *first[3:args], *second[3:-end], *first[args:]))


@lru_cache(maxsize=1)
def _both() -> dict[tuple[Arg, Arg], str]:
    """Digests of two scripts, and that of the one that does what both do; the second has two arguments."""
    digest = {name: sha for name, (_, sha) in _scripts().items()}
    names = ("publish", "release"), ("publish", "push")
    return {(digest[one], digest[two]): digest[f"{one}_{two}"] for one, two in names}


def evaluated(name: str, keys: Sequence[str], args: Sequence[Arg] = ()) -> Command:
    """The same where the scripts may not be loaded yet."""
    return ("EVAL", _scripts()[name][0], len(keys), *keys, *args)


@lru_cache(maxsize=1)
def loading() -> tuple[Command, ...]:
    """The commands that load every script."""
    return tuple(("SCRIPT", "LOAD", text) for text, _sha in _scripts().values())
