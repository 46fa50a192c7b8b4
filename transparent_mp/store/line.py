"""A line to the store: what was sent and is not answered yet outlives the connection, and is applied once.

    step    a command that changes something: numbered. The store notes the last step of each line and its
            reply (lua/include/once.lua), so a step that is sent again is applied once, and in turn.
    look    a command that changes nothing, or the same each time: sent again as it is

When the connection is lost, a new one is made by `dial`, which has the session admit it and ends the old one
at the server: nothing that may still lie on its way there arrives after that. Then everything unanswered is
sent again in its order. Before a session admits its lines (`key` is empty) nothing is numbered.

What a signal's handler raises leaves nothing half done: a connection is ended here, too, where it is not
known what was sent on it, and a reply leaves it together with what it answers.

A line is not thread-safe, and does not know what its commands mean. Pops are for `pops`.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Callable, NamedTuple, Optional

from transparent_mp.errors import SessionLostError, StoreAwayError, StoreError, StoreReplyError
from transparent_mp.originals import original
from transparent_mp.store.commands import Packed, borrows, may_change, packed
from transparent_mp.store.link import Arg, Command, Link, Reply, silent
from transparent_mp.store.refusals import LOST_KEYS, Kind, explained, refusal
from transparent_mp.store.replies import Several
from transparent_mp.store.scripts import NO_LINE, numbered, script

OnReply = Optional[Callable[[Reply], None]]

#: Bytes of buffers that are copied so that they can be sent again; behind more, put() waits for the answer.
#: Larger: more is copied; smaller: large messages wait for a round trip.
COPIED = 1024 * 1024
#: Commands that are steps; carried out by a script, several in one. All others are looks, and so is an HSET
#: of a buffer: what they change is the same however often it is done, and nobody else's.
STEPS = frozenset(
    (
        *("LPUSH", "RPUSH", "LPOP", "RPOP", "LREM", "LTRIM", "SADD", "SREM", "ZADD", "ZREM", "ZINCRBY"),
        *("HSET", "HDEL", "HINCRBY", "INCR", "INCRBY", "DEL", "UNLINK"),
    )
)
_NO_LINE = len(NO_LINE)
_NEVER = object()
# The kernel's: on a worker a process has another.
_getpid = original("os", "getpid")


class _Kept(NamedTuple):
    """What was sent and not answered. `number`: of a step, else 0."""

    command: Command
    on_reply: OnReply
    number: int
    size: int


class Line:
    """One line. `dial(line)` gives it a new link, or raises StoreError."""

    __slots__ = (
        "__weakref__",
        "_answered",
        "_dial",
        "_paired",
        "_pairs",
        "admitted",
        "failed",
        "former",
        "kept",
        "kept_bytes",
        "key",
        "link",
        "name",
        "number",
        "pid",
        "taken",
    )

    def __init__(self, dial: Callable[[Line], None]) -> None:
        self._dial = dial
        #: Of the process whose line it is; a child has a copy.
        self.pid = _getpid()
        self.link: Link | None = None
        #: Name of the line in its session, and of what the store keeps for it. Set by whoever dials.
        self.name = self.key = self.taken = ""
        #: Whether the session has admitted it before, and the link before this one.
        self.admitted = False
        self.former: Link | None = None
        #: Of the last step that was sent.
        self.number = 0
        self.kept: deque[_Kept] = deque()
        self.kept_bytes = 0
        # What was kept, with its reply, until that has been handed over; what moves both here at once.
        self._answered: deque[tuple[_Kept, Reply]] = deque()
        self._pairs: Iterator[tuple[_Kept, Reply]] = iter(())
        self._paired: Link | None = None
        #: Errors that answered what nobody waits for.
        self.failed: deque[StoreReplyError] = deque()

    def put(self, commands: Sequence[Command], each: OnReply, last: OnReply) -> None:
        """Send; `last` is given the reply to the last command, `each` those to the others."""
        link = self.link
        if link is None or not link.usable:
            self._reconnect()
        number, kept_bytes = self.number, self.kept_bytes
        entries: list[_Kept] = []
        packs: list[Packed] = []
        try:
            entries = self._entries(commands, each, last, packs)
            self.kept.extend(entries)
            self.link.write(packs)  # type: ignore[union-attr]
        except StoreAwayError as error:
            self._reconnect(error)
        except BaseException:
            if not entries or not self.kept or self.kept[-1] is not entries[-1]:
                self.number, self.kept_bytes = number, kept_bytes
            elif self.link is not None:
                # What of it was sent is not known.
                self.link.spoil()
            raise
        if self.kept_bytes > COPIED and any(any(map(may_change, entry.command)) for entry in entries):
            self.take(len(self.kept))

    def take(self, count: int) -> None:
        """Wait for `count` of the replies, or all that are missing, and hand them over."""
        self._hand_over()
        # Not counted by what is read: a command that was refused for a moment is sent again.
        left = len(self.kept) - count
        while self.kept and len(self.kept) > left:
            self._await_reply()
            self._settle()

    def insist(self, patience: float) -> None:
        """The same with all of them; a connection that says nothing for so many seconds is taken for lost."""
        while self.kept:
            missing, link = len(self.kept), self.link
            self.take_ready(patience)
            if len(self.kept) == missing and self.link is link and link is not None:
                # A store that is only slow answers a later one.
                self._reconnect(silent(link.address, patience))
                patience *= 2

    def take_ready(self, timeout: float = 0.0) -> None:
        """The same with those that are here; waits up to `timeout` seconds for the first."""
        self._hand_over()
        if self.kept and not self.usable:
            # Ended here, so it tells nobody that it has.
            self._reconnect()
        try:
            if self.link is not None:
                self.link.pull(timeout)
            while self.kept and (link := self.link) is not None and link.arrived:
                # An error among them may have all behind it sent again.
                errors = StoreReplyError in map(type, link.arrived)
                self._settle(1 if errors else min(len(self.kept), len(link.arrived)))
        except StoreAwayError as error:
            self._reconnect(error)

    def renew(self) -> None:
        """Make a new connection in place of one that was lost; the old one is ended at the server."""
        self._reconnect()

    def drop(self) -> None:
        """In the child of a fork: leave the connection to the parent."""
        if self.link is not None:
            self.link.drop()
            self.link = None

    def close(self) -> None:
        """End the connection without a word; what is unanswered is forgotten."""
        if self.pid != _getpid():
            self.drop()
        if self.link is not None:
            self.link.close()
            self.link = None
        self.kept.clear()
        self._answered.clear()
        self.kept_bytes = 0

    def hang_up(self) -> None:
        """End the connection for whoever waits on it, in another thread."""
        if self.link is not None:
            self.link.hang_up()

    @property
    def usable(self) -> bool:
        return self.link is not None and self.link.usable

    def fileno(self) -> int:
        if self.link is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self.link.fileno()

    def lost(self) -> bool:
        """Whether the server has ended the connection, and nothing is left to be read of it."""
        return self.link is None or self.link.ended()

    def answered(self) -> int:
        """Number of the last step that is known to be applied."""
        return next((entry.number - 1 for entry in self.kept if entry.number), self.number)

    def _await_reply(self) -> None:
        while True:
            if not self.usable:
                self._reconnect()
            try:
                self.link.gather(1)  # type: ignore[union-attr]
                return
            except StoreAwayError as error:
                self._reconnect(error)

    def _settle(self, count: int = 1) -> None:
        """Hand over the replies that have arrived first."""
        link = self.link
        if self._paired is not link:
            assert link is not None
            # In one step that no signal handler can divide: what has been read has left what is kept.
            self._pairs = zip(iter(self.kept.popleft, None), iter(link.arrived.popleft, _NEVER))
            self._paired = link
        self._answered.extend(islice(self._pairs, count))
        self._hand_over()

    def _hand_over(self) -> None:
        while self._answered:
            entry, reply = self._answered[0]
            if isinstance(reply, StoreReplyError):
                self._answered.popleft()
                self.kept_bytes -= entry.size
                self._failed(entry, reply)
            else:
                if entry.on_reply is not None:
                    entry.on_reply(reply)
                # Behind it: what is interrupted is rather told twice than never.
                self.kept_bytes -= entry.size
                self._answered.popleft()

    def _failed(self, entry: _Kept, reply: StoreReplyError) -> None:
        known = refusal(str(reply))
        if str(reply).startswith("GONE") or (self.key and str(reply).startswith("GAP")):
            self.close()
            raise SessionLostError(f"the session is over: {LOST_KEYS}")
        if known is not None:
            assert self.link is not None
            self._refused(entry, explained(self.link.address, reply), known.kind)
        else:
            self._deliver(entry, reply)

    def _deliver(self, entry: _Kept, error: StoreReplyError) -> None:
        if entry.on_reply is not None:
            entry.on_reply(error)
        else:
            self.failed.append(error)

    def _refused(self, entry: _Kept, error: StoreReplyError, kind: Kind) -> None:
        """A command was refused: none of the steps behind it was applied, for they were not in their turn."""
        again = kind in (Kind.WAIT, Kind.LOAD)
        if not again and not entry.number:
            self._deliver(entry, error)
            return
        rest = [entry, *self.kept] if again else list(self.kept)
        try:
            for _ in self.kept:
                assert self.link is not None
                self.link.read()
        except StoreAwayError:
            kind = Kind.WAIT
        self._renumber(rest, (entry.number or self.answered() + 1) - 1)
        if not again:
            self._deliver(entry, error)
        # A server that is about to be another, or one that needs the scripts, which a new link loads.
        if again:
            self._reconnect(error)
        elif rest:
            self._send_again()

    def _renumber(self, rest: Iterable[_Kept], number: int) -> None:
        self.kept.clear()
        self.kept_bytes = 0
        for entry in rest:
            command = entry.command
            if entry.number:
                number += 1
                command = (*command[:-1], str(number))
                entry = entry._replace(command=command, number=number)
            self.kept.append(entry)
            self.kept_bytes += entry.size
        self.number = number

    def _send_again(self) -> None:
        assert self.link is not None
        try:
            self.link.send([entry.command for entry in self.kept])
        except StoreAwayError as error:
            self._reconnect(error)

    def _reconnect(self, error: StoreError | None = None) -> None:
        """Make a new connection and send what is unanswered. Raises StoreError when the store stays away."""
        if not self.key and self.link is not None:
            # What is unanswered may have been done.
            self.close()
            if error is not None:
                raise error
        while True:
            try:
                if not self._dialled():
                    continue
            except BaseException:
                if self.link is not None:
                    self.link.spoil()
                raise
            return

    def _dialled(self) -> bool:
        """Whether there is a new connection, and what is unanswered was sent on it."""
        try:
            self._dial(self)
        except StoreError:
            self.close()
            raise
        try:
            if self.kept:
                self.link.send([entry.command for entry in self.kept])  # type: ignore[union-attr]
        except StoreAwayError:
            return False
        return True

    def _entries(
        self, commands: Sequence[Command], each: OnReply, last: OnReply, packs: list[Packed]
    ) -> list[_Kept]:
        """What is to be kept, and what of it is to be written, in `packs`."""
        entries: list[_Kept] = []
        steps: list[tuple[Command, OnReply]] = []
        end = len(commands) - 1
        for at, command in enumerate(commands):
            on_reply = last if at == end else each
            name = command[0]
            # A chunk is put into a place of its own by a command as it is: a script would copy it.
            if self.key and name in STEPS and not borrows(command):
                steps.append((command, on_reply))
                continue
            if steps:
                entries.append(self._together(steps, packs))
                steps = []
            number = 0
            if self.key and name == "EVALSHA" and command[1] in numbered():
                number = self.number = self.number + 1
                command = (*command[:-_NO_LINE], self.key, str(number))
            entries.append(self._keep(command, on_reply, number, packs))
        if steps:
            entries.append(self._together(steps, packs))
        return entries

    def _together(self, steps: Sequence[tuple[Command, OnReply]], packs: list[Packed]) -> _Kept:
        number = self.number = self.number + 1
        whole = self._numbered([command for command, _ in steps])
        return self._keep(whole, Several(steps, self.failed), number, packs)

    def _numbered(self, steps: Sequence[Command]) -> Command:
        """Commands in one script, as the step of this number."""
        words: list[Arg] = []
        for command in steps:
            words += (len(command), *command)
        return (*script("do", (), words)[:-_NO_LINE], self.key, str(self.number))

    def _keep(self, command: Command, on_reply: OnReply, number: int, packs: list[Packed]) -> _Kept:
        pack = packed(command)
        packs.append(pack)
        size, borrowed = 0, False
        if pack.__class__ is bytes:
            size = len(pack)
            self.kept_bytes += size
            # As _Kept() does, which is a function of Python's.
            return tuple.__new__(_Kept, (command, on_reply, number, size))
        for arg in command:
            kind = arg.__class__
            if kind is bytes:
                size += len(arg)  # type: ignore[arg-type]
            elif kind is memoryview or kind is bytearray:
                borrowed = borrowed or may_change(arg)
                size += memoryview(arg).nbytes  # type: ignore[arg-type]
        if borrowed and size <= COPIED:
            command = tuple(
                bytes(arg) if isinstance(arg, (bytearray, memoryview)) else arg for arg in command
            )
        self.kept_bytes += size
        return _Kept(command, on_reply, number, size)
