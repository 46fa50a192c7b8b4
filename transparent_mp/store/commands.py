"""Commands, and what they are as they are written: packed by hiredis, in as few pieces as possible.

An argument that is large is written from where it lies. It writes nothing itself: a `link` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Union

import hiredis

Arg = Union[bytes, bytearray, memoryview, str, int, float]
Command = tuple[Arg, ...]
#: One as it is written: bytes, or a list of words and large arguments, which ends with words.
Packed = Any

#: Arguments from this size on are written from where they lie. Smaller: more buffers for each
#: write; larger: more bytes copied before they are written.
SCATTER = 16 * 1024

_TEXT = frozenset((str,))
_STRINGS = frozenset((bytes, str))
_BUFFERS = frozenset((bytearray, memoryview))


class Ready(tuple[Arg, ...]):
    """A command that is sent again and again: packed once. Its words are bytes and str."""

    packed: bytes

    def __new__(cls, words: Iterable[str | bytes]) -> Ready:
        self = super().__new__(cls, words)
        self.packed = hiredis.pack_command(self)
        return self


def packed(command: Command) -> Packed:
    """As it is written: in one piece, but for large arguments, which are written from where they lie."""
    if command.__class__ is Ready:
        return command.packed
    # By calls that loop in C, where a loop over ten arguments takes a microsecond.
    if _TEXT.issuperset(map(type, command)):
        return hiredis.pack_command(command)
    plain = _STRINGS.issuperset(map(type, command))
    if not plain:
        command = _spelled(command)
        plain = _BUFFERS.isdisjoint(map(type, command))
    if plain and max(map(len, command)) < SCATTER:  # type: ignore[arg-type]
        return hiredis.pack_command(command)
    small: list[bytes] = []
    buffers: list[Any] = []
    _pack_large(command, small, buffers)
    return [*buffers, b"".join(small)]


def joined(packs: Sequence[Packed]) -> list[Any]:
    """The same of several; what is small in one piece with what is beside it."""
    buffers: list[Any] = []
    small: list[bytes] = []
    for pack in packs:
        if pack.__class__ is bytes:
            small.append(pack)
            continue
        *before, last = pack
        if before:
            buffers += (b"".join((*small, before[0])), *before[1:])
            small = []
        small.append(last)
    if small:
        buffers.append(small[0] if len(small) == 1 else b"".join(small))
    return buffers


def may_change(arg: Arg) -> bool:
    """Whether it is memory that its owner may change."""
    return arg.__class__ is bytearray or (arg.__class__ is memoryview and arg.obj.__class__ is not bytes)


def borrows(command: Command) -> bool:
    """Whether an argument is memory that lies elsewhere."""
    # A loop: a generator for each command costs a microsecond and a half.
    for arg in command:  # noqa: SIM110
        if arg.__class__ is memoryview or arg.__class__ is bytearray:
            return True
    return False


def _spelled(command: Command) -> Command:
    """With its numbers as text. hiredis spells them too, but a signal's handler that raises meanwhile makes
    it read from nowhere: Python runs handlers before a `repr`, and hiredis takes that not to fail.
    """
    return tuple([repr(arg) if arg.__class__ is int or arg.__class__ is float else arg for arg in command])


def _pack_large(command: Command, small: list[bytes], buffers: list[Any]) -> None:
    small.append(b"*%d\r\n" % len(command))
    for arg in command:
        if isinstance(arg, (bytes, bytearray, memoryview)):
            view = memoryview(arg).cast("B")
        else:
            view = memoryview(str(arg).encode())
        small.append(b"$%d\r\n" % len(view))
        if len(view) < SCATTER:
            small.append(bytes(view))
        else:
            buffers.append(b"".join(small))
            buffers.append(view)
            small.clear()
        small.append(b"\r\n")
