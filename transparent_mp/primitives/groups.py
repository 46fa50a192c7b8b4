"""Short tasks of a pool that travel as one message, a *group*: sealed once, numbered together, moved at once.

    message = TAG NUMBER "G" FIRST END REST    as in `store.content`; the tag is over NUMBER "G" REST
    FIRST, END    which of its tasks are meant (2 bytes each): the scripts move them when some are taken,
                  given back or done (lua/include/groups.lua), so they are not under the seal
    REST          the pickles of all its tasks (`several`)

A task is known by its message's tag and its place there; one that travels by itself has place 0. Its number
is as much behind NUMBER as its place: whatever is written in FIRST and END, a process begins none twice.

Which tasks go together `tasks` decides, and when they part `taking` does.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Sequence

from transparent_mp.errors import UntrustedPayloadError
from transparent_mp.primitives import several
from transparent_mp.store.pieces import Payload
from transparent_mp.store.replay import NUMBER, Numbers, Seen
from transparent_mp.store.seal import TAG, Buffer
from transparent_mp.store.session import Session

_KIND = b"G"
_KIND_AT = TAG + NUMBER
_RANGE = struct.Struct(">HH")
_RANGE_AT = _KIND_AT + len(_KIND)
_REST_AT = _RANGE_AT + _RANGE.size
_PLACE = struct.Struct(">H")


def sealed(session: Session, list_: str, numbers: Numbers, pickles: Sequence[Buffer]) -> bytes:
    """The message of two tasks and more for that list. For one thread."""
    number, rest = numbers.several(session.uid, len(pickles)), several.joined(pickles)
    tag = session.seal.tag(list_, number, _KIND, rest)
    return b"".join((tag, number, _KIND, _RANGE.pack(0, len(pickles)), rest))


def length(message: bytes) -> int:
    """For how many tasks a message stands; one, if it is to be refused for standing for none."""
    if not _is_group(message):
        return 1
    first, end = _RANGE.unpack_from(message, _RANGE_AT)
    return max(1, int(end - first))


def _is_group(message: bytes) -> bool:
    return message[_KIND_AT:_RANGE_AT] == _KIND and len(message) >= _REST_AT


def reference(tag: bytes, place: int) -> bytes:
    """What lua/reclaim.lua calls a task."""
    return tag + _PLACE.pack(place)


#: A task that was taken: its message's tag, how many messages were begun up to that one, and its place there.
Where = tuple[bytes, int, int]


class Ahead:
    """What a process has taken and not begun: messages, of which a group may be opened. Not thread-safe."""

    __slots__ = (
        "_end",
        "_list",
        "_message",
        "_messages",
        "_number",
        "_pickles",
        "_place",
        "_session",
        "_tag",
    )

    def __init__(self, session: Session, list_: str) -> None:
        self._session, self._list = session, list_
        self._messages: deque[bytes] = deque()
        #: Of the message whose tasks are begun. A task by itself is a group that has nothing left.
        self._tag = self._number = b""
        self._message = self._place = 0
        self._end = 1
        self._pickles: Sequence[Payload] = ()

    def __bool__(self) -> bool:
        return self._place + 1 < self._end or bool(self._messages)

    def __len__(self) -> int:
        """How many tasks."""
        return self._end - self._place - 1 + sum(map(length, self._messages))

    def extend(self, messages: Iterable[bytes]) -> None:
        self._messages.extend(messages)

    def begin(self, seen: Seen) -> tuple[Payload, bool]:
        """The next task, of which there is one: its pickle, or its message, if it came by itself.

        Raises UntrustedPayloadError for a group not made by this session, or that came before.
        """
        if self._place + 1 < self._end:
            self._place += 1
        else:
            message = self._messages.popleft()
            self._tag, self._place, self._end = message[:TAG], 0, 1
            self._message += 1
            if not _is_group(message):
                return message, True
            with self._session.counting():
                self._open(message, seen)
        return self._pickles[self._place], False

    def begun(self) -> Where:
        """The task that begin() has answered last."""
        return self._tag, self._message, self._place

    def forget(self, seen: Seen, keep: int = 0) -> int:
        """Have no more than that many, or than can be parted from the rest; how many are others' then."""
        surplus = len(self) - keep
        forgotten = 0
        while self._messages and forgotten + length(self._messages[-1]) <= surplus:
            forgotten += length(self._messages.pop())
        if not self._messages and forgotten < surplus:
            end, self._end = self._end, self._end - (surplus - forgotten)
            seen.put_back(self._number, self._end, end)
            forgotten = surplus
        return forgotten

    def _open(self, message: bytes, seen: Seen) -> None:
        first, end = _RANGE.unpack_from(message, _RANGE_AT)
        view = memoryview(message)
        self._session.seal.check(self._list, view[:TAG], view[TAG:_RANGE_AT], view[_REST_AT:])
        self._number = message[TAG:_KIND_AT]
        self._pickles = several.divided(view[_REST_AT:])
        if not first < end <= len(self._pickles):
            raise UntrustedPayloadError(
                f"a message at {self._list!r} stands for tasks {first} to {end} of {len(self._pickles)}: "
                "something else writes to this Redis under our keys"
            )
        if not seen.all_first(self._number, first, end):
            raise UntrustedPayloadError(
                f"tasks at {self._list!r} were received before: something else has put them there again, "
                "with access to this Redis; they were not run"
            )
        self._place, self._end = first, end
