"""A replica: this process's local memory for one segment, and what it has exchanged of it.

    memory   what the program reads and writes
    twin     what was last exchanged; memory differs from it where the program wrote since
    known    version of the segment up to which the changes of others are in memory
    away     parts given out for publication that no answer of the store has confirmed

A *part* is what one publication found changed. It has a number, and the store applies the parts of
a process once and in the order of their numbers, however they arrive. Until the store is known to
have applied a part, what it answers may be older, so the bytes of that part stay as they are here.
Threads may send what they were given in another order, and a signal's handler may come between: a
publication takes along the parts that were given out and are not known to be sent, even when there is
nothing else to publish. A release that went without them would let its acquirer miss them.

It sends nothing itself (`memory` does) and is not thread-safe.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any, Callable, Protocol

from transparent_mp.primitives import bulk, diff
from transparent_mp.primitives.diff import BLOCK, Entry
from transparent_mp.primitives.expected import Expected
from transparent_mp.primitives.merging import Merging
from transparent_mp.primitives.parts import Part, publishing_large, publishing_nothing, publishing_small
from transparent_mp.primitives.sharing import Hold
from transparent_mp.primitives.tracts import WRITERS, Tracts
from transparent_mp.primitives.twins import LargeTwin, SmallTwin
from transparent_mp.store.commands import Ready
from transparent_mp.store.link import Arg, Command
from transparent_mp.store.session import Session

#: Blocks in one publication. More: the store is busy for longer at a stretch; fewer: more commands.
PUBLISH_BLOCKS = 1024

#: Blocks after which the store's answer to a fetch may stop short. More: a larger answer behind an
#: acquire; fewer: more round trips for a large change.
FETCH_BLOCKS = 2048

#: Blocks up to which a segment is small: what is known of its blocks lies beside them, and it can be read by
#: one plain command. Larger: more bytes come that nobody changed; smaller: more is asked for by a script.
SMALL = 8

#: Answers without news after which a small segment is asked for its version only. Larger: more bytes in vain;
#: smaller: a change after a pause is more often waited for twice.
QUIET = 4


class Memory(Protocol):
    """The local memory of a replica.

    One that takes room when it is looked at has `stretches()` besides: where it may be other than zeros,
    each from the first byte of a block.
    """

    view: memoryview

    def isolate(self) -> None:
        """In the child of a fork: stop sharing it with the parent."""

    def free(self) -> None:
        """Give it back; nothing refers to it any more."""


class Replica:
    """Local memory attached to a segment; when it is collected, its last changes are published."""

    __slots__ = (
        "__weakref__", "_asks", "_away", "_blocks", "_free", "_keys", "_lost", "_memory", "_name", "_nothing",
        "_numbers", "_publications", "_publish_last", "_quiet", "_seen", "_tracts", "_twin", "_unsent",
        "_view", "bringers", "ended", "expected", "fresh", "hold", "known", "lock", "oid", "small",
    )  # fmt: skip

    def __init__(
        self,
        oid: str,
        memory: Memory,
        hold: Hold,
        numbers: Iterator[int],
        publish_last: Callable[[Replica], None],
        free: Callable[[memoryview, Memory], None],
    ) -> None:
        """`numbers`: of the process's parts, never twice the same. At the end `publish_last` is called, and
        `free`, which lets go of the memory once no thread looks at it.
        """
        self.oid = oid
        self.hold = hold
        #: What it rides on; None: it follows every release and acquire.
        self.lock: Any = None
        self.known = 0
        #: While its first contents come: nobody has the memory yet, and it is zeros.
        self.fresh = False
        # Version of the latest answer applied, complete or not: an older one would undo it.
        self._seen = 0
        self._memory = memory
        self._view = memory.view
        self._numbers = numbers
        self._publish_last = publish_last
        self._free = free
        #: Being finalised: a weak reference still finds it, in other threads.
        self.ended = False
        self._away: deque[Part] = deque()
        # Thread -> number of the first part of its publication that is still to be sent.
        self._unsent: dict[int, int] = {}
        self._lost = False
        self._keys: tuple[str, ...] | None = None
        # Of a small one: the reader, and the commands that ask for its version and for all of it.
        self._asks: tuple[bytes, Command, Command] = (b"", (), ())
        # And what publishes no part of it.
        self._nothing: Command = ()
        self._blocks = -(-len(self._view) // BLOCK)
        self.small = self._blocks <= SMALL
        #: How many ends bring it with their answers (`memory.Brings`).
        self.bringers = 0
        # Answers in turn that had no news; counted for small ones.
        self._quiet = 0
        #: What a large one may be asked for by a plain command.
        self.expected = Expected(self._blocks)
        # Those that this process writes.
        self._tracts = Tracts()
        # Of what is published: the first number given, and how many publications there were.
        self._name = ""
        self._publications = 0
        self._twin: SmallTwin | LargeTwin
        if self._blocks > 1:
            self._twin = LargeTwin(self._view, getattr(memory, "stretches", None))
        else:
            self._twin = SmallTwin(self._view)

    def __del__(self) -> None:
        # Not with weakref.finalize: in a cycle that would free the memory before it is published.
        if hasattr(self, "_twin"):
            self.ended = True
            self._publish_last(self)
            self._free(self._view, self._memory)

    def publication(self, session: Session, thread: int, whole: bool = False) -> Iterable[Command]:
        """Commands that publish what was changed here since the last publication.

        `whole`: blocks that changed were written whole, as those of a new segment are.
        """
        if self._blocks > 1 or whole:
            return self._publication(session, thread, whole)
        # As that does, without its generators: a counter under its lock is all that many programs share.
        now, old = self._view.tobytes(), self._twin.get(0, 1)
        if now != old:
            self._twin.set(0, now)
            return self._command(session, diff.entries(0, old, now), thread, 0)[0]
        along = self._along()
        return self._publishing(session, along) if along else ()

    def _publication(self, session: Session, thread: int, whole: bool) -> Iterator[Command]:
        first = 0
        changes: list[Entry] = []
        blocks = 0
        for found, count in self._changes(whole):
            changes += found
            blocks += count
            if blocks >= PUBLISH_BLOCKS:
                commands, first = self._command(session, changes, thread, first)
                yield from commands
                changes, blocks = [], 0
        if changes:
            yield from self._command(session, changes, thread, first)[0]
        elif not first and (along := self._along()):
            yield from self._publishing(session, along)

    def sent(self, thread: int) -> None:
        """What that thread was given has been sent."""
        self._unsent.pop(thread, None)

    def lost(self) -> None:
        """Some of what was given out may never have been sent: it goes with the next publication."""
        self._lost = bool(self._away)

    def question(self, session: Session, after: int | None = None) -> tuple[Sequence[str], Sequence[Arg]]:
        """Keys and arguments of a fetch for this segment. `after`: where an answer stopped short."""
        _holders, data, blocks = self._names(session)
        self.expected.reader = session.uid
        most = -self._blocks if self.small else FETCH_BLOCKS
        return (data, blocks), (self.oid, self.known if after is None else after, most)

    def look(self, session: Session, brings: Container[str] | None = None) -> tuple[Command, ...]:
        """Plain commands that ask for what a small segment is now, or for what is expected of a large one.

        seen() has the answer to the last; that to the one before says which question it was. `brings`: small
        segments that are likely to have changed, others are asked for their version only.
        """
        if not self.small:
            number, fields = self.expected.question()
            return ("ECHO", number), (*self._meta(session), "j", "t", *fields)
        if not self._asks[0]:
            meta = self._meta(session)
            whole = Ready((*meta, *map(str, range(self._blocks))))
            self._asks = (session.uid.encode(), whole if self._blocks == 1 else Ready(meta), whole)
        likely = self._quiet < QUIET if brings is None else self.oid in brings
        return (self._asks[2] if likely else self._asks[1],)

    def seen(self, session: Session, reply: list[Any], question: int = 0) -> list[Any]:
        """The answer that merge() takes, from the reply to look()."""
        version, applied = int(reply[1] or 0), int(reply[4] or 0)
        others = int(reply[3] or 0) if reply[2] == session.uid.encode() else version
        # What there is begins behind all news, if not all of them are here.
        answer = [reply[0], version, version, applied, 0]
        if others <= self.known:
            self._quiet += 1
            return answer
        if not self.small:
            found = self.expected.answer(question, reply[7:], reply[5:7], self.known)
            answer[4] = version if found is None else 0
            return answer + (found or [])
        self._quiet = 0
        answer[4] = version if len(reply) == 5 else 0
        return answer + _numbered(reply[5:])

    def accept(self, reply: list[Any]) -> bool | None:
        """Apply the reply to a look() at a small one, as merge() would: whether there was news; None, and
        nothing is done, where it takes more than that.
        """
        version, blocks = int(reply[1] or 0), reply[5:]
        news = (int(reply[3] or 0) if reply[2] == self._asks[0] else version) > self.known
        if news and (not blocks or version < self._seen):
            return None
        away, applied = self._away, int(reply[4] or 0)
        while away and away[0].number <= applied:
            away.popleft()
        if not away:
            self._unsent.clear()
        self._quiet = 0 if news else self._quiet + 1
        if news:
            answer = [0, blocks[0]] if len(blocks) == 1 else _numbered(blocks)
            diff.check(answer, len(self._view))
            merging = self._merging()
            if len(answer) == 2:
                merging.block(*answer)
            else:
                merging.all(answer)
        if version > self.known and version >= self._seen:
            self._seen = self.known = version
        return news

    def lacks(self, answer: list[Any]) -> bool:
        """Whether an answer begins behind what is known here."""
        return bool(answer[4] > self.known and answer[2] > self.known)

    def merge(self, answer: list[Any], after: int = 0) -> int | None:
        """Apply what the store answered to a fetch; returns where to go on if it is not enough.

        `after`: how far the answers before it reached, of which it is the next piece.
        """
        reached, latest, applied, begins = answer[1:5]
        if len(answer) > 7 and answer[-3] == -1:
            *answer, _, journal, tracts = answer
            self.expected.learn((journal, tracts), self.known)
        away = self._away
        while away and away[0].number <= applied:
            away.popleft()
        if not away:
            self._unsent.clear()
        if latest <= self.known or latest < self._seen:
            return None
        if begins > max(self.known, after):
            return self.known
        if len(answer) > 5:
            diff.check(answer[5:], len(self._view))
            for block, data in zip(answer[5::2], answer[6::2]):
                stop = block + 1 + max(0, len(data or b"") - 1) // BLOCK
                # What is gone on with has our own, too.
                if not after or self._twin.get(block, stop) != data:
                    self._tracts.touched(block, stop)
            self._merging().all(answer[5:])
        self._seen = latest
        if reached < latest:
            return int(reached)
        self.known = latest
        return None

    def mute(self) -> None:
        """Publish nothing at the end."""
        self._publish_last = lambda _replica: None

    def settle(self) -> None:
        """Take memory as exchanged, and nothing as away: for the child of a fork.

        What the parent had changed is the parent's to publish.
        """
        self._memory.isolate()
        self._asks, self._nothing = (b"", (), ()), ()
        self.expected = Expected(self._blocks)
        self._tracts = Tracts()
        self._away.clear()
        self._unsent.clear()
        for block in self._twin.changed():
            self._twin.set(block, self._slice(block).tobytes())

    def _changes(self, whole: bool) -> Iterator[tuple[list[Entry], int]]:
        """What differs from the twin, some neighbouring blocks at a time, and how many they are."""
        numpy = diff.loaded_numpy() if self._blocks >= bulk.WORTH else None
        tracts = None if self.small or whole or len(self.expected.writers) > WRITERS else self._tracts
        changed = iter(self._twin.changed())
        if numpy is not None and self.small and next(changed, None) is not None:
            # To look which block it is takes as long as to compare them all.
            changed = iter(range(self._blocks))
        spans = bulk.spans(changed)
        if tracts is not None:
            spans = (piece for span in spans for piece in tracts.cut(*span))
        for first, stop in spans:
            around = tracts.around(first, stop) if tracts is not None else None
            first, stop = around or (first, stop)
            now = self._view[first * BLOCK : stop * BLOCK].tobytes()
            old = self._twin.get(first, stop)
            if around and now == old:
                # All of it went with the part before this.
                continue
            tract = tracts.again(first, stop, old, now) if tracts is not None and around else None
            found = [tract] if tract else self._entries(numpy, first, old, now, whole)
            if tracts is not None and not tract:
                found = tracts.seen(first, stop, found, old, now)
            self._twin.set(first, now)
            yield found, stop - first

    def _entries(self, numpy: Any, first: int, old: bytes, now: bytes, whole: bool) -> list[Entry]:
        if numpy is not None and len(now) >= bulk.WORTH * BLOCK and not whole:
            return bulk.entries(numpy, first, old, now)
        found: list[Entry] = []
        for at in range(0, len(now), BLOCK):
            block, was, has = first + at // BLOCK, old[at : at + BLOCK], now[at : at + BLOCK]
            if was != has:
                found += [(block, "=", has)] if whole else diff.entries(block, was, has)
        return found

    def _merging(self) -> Merging:
        return Merging(self._view, self._twin, self._away, fresh=self.fresh)

    def _command(
        self, session: Session, entries: list[Entry], thread: int, first: int
    ) -> tuple[Sequence[Command], int]:
        number = next(self._numbers)
        if not first:
            self._publications += 1
            self._name = self._name or str(number)
        name = "" if self.small else f"{session.uid}.{self._name}.{self._publications}"
        if name:
            entries[:0] = self._tracts.left()
        # As Part() does, which is a function of Python's.
        part = tuple.__new__(Part, (number, self.known, entries, thread, first or number, name))
        # What goes along with the first command of a publication reaches the store before the others.
        commands = self._publishing(session, (*(() if first else self._along()), part))
        self._away.append(part)
        self._unsent[thread] = part.first
        return commands, part.first

    def _publishing(self, session: Session, parts: Sequence[Part]) -> Sequence[Command]:
        if not parts[0].name:
            self._nothing = self._nothing or publishing_nothing(session, self._names(session), self.oid)
            return publishing_small(self._nothing, parts)
        return publishing_large(session, self._names(session), self.oid, parts)

    def _along(self) -> Sequence[Part]:
        if self._lost:
            self._lost = False
            return tuple(self._away)
        if not self._unsent:
            return ()
        firsts = self._unsent.values()
        return [part for part in self._away if part.first in firsts]

    def _slice(self, block: int) -> memoryview:
        start = block * BLOCK
        return self._view[start : start + BLOCK]

    def _meta(self, session: Session) -> tuple[str, ...]:
        return ("HMGET", self._names(session)[1], "o", "n", "w", "f", f"s:{session.uid}")

    def _names(self, session: Session) -> tuple[str, ...]:
        if self._keys is None:
            self._keys = tuple(session.keys.object(self.oid, part) for part in ("h0", "d", "g"))
        return self._keys


def _numbered(blocks: Sequence[bytes | None]) -> list[Any]:
    return [part for pair in enumerate(blocks) for part in pair]
