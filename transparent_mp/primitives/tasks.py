"""The tasks of a pool, at the process that puts them; `taking` is the side that runs them.

Tasks and results are the two directions of one pipe in the store. What a process takes it has in a
list of its own (`taken`) until the result is pushed, in the one step that ends the task, so:

    waiting   in the list of tasks
    taken     in the list of one process; the first of these is the one it has begun, once it says
              that they have come
    done      its result was pushed, and only by the process that had taken it

When a process has ended, `ended` puts back what it had not begun and answers with the task that it
had: that one may have had effects, and is not run again. So each task has exactly one result. Where
nobody was left to tell its last results, it may have begun all that it had taken.

A burst of tasks goes in one write: who puts them says when nothing more is at hand (`flush`). While results
come several at once, which says that tasks are short, those of a burst go in groups (`groups`). Tasks
are held back (`put` waits) while more are without a result than keep every process busy. Who reads
results does not ask the store while no task is without one (`await_any`): it would only be in the way
of who puts the next, which both need the interpreter. Who waits for the one result that is to come may
read it instead (`Reader`), and then wakes nobody.
"""

from __future__ import annotations

import enum
import queue
import threading
import time
import weakref
from collections.abc import Sequence
from multiprocessing import connection, context
from typing import Any, Callable

from transparent_mp.primitives import groups, memory, pickling, sharing
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.repeated import Repeated
from transparent_mp.primitives.taking import Taker, taken_keys
from transparent_mp.store.link import Command
from transparent_mp.store.pieces import Payload, Pieces
from transparent_mp.store.scripts import script, with_words
from transparent_mp.store.seal import TAG
from transparent_mp.store.session import new_id

#: Tasks in one write. Larger: the first of a burst waits for the last to be pickled.
BURST = 256
#: Seconds after which a burst is written however much is at hand: at its begin, and by and by. Larger:
#: processes idle; smaller: they find few tasks each time, and wake up for each few.
HELD, HELD_MOST = 0.0003, 0.002
#: Bytes and number of tasks without a result, beyond which a put waits. Larger: more memory of the store.
WINDOW = 4 * 1024 * 1024
MESSAGES = 8192
#: Tasks for each process that are put in any case: one that it runs and one that lies ready.
EACH = 2

#: Short tasks in one message at most, and parts for each process into which those of a write are divided at
#: least. Larger groups: fewer messages; more parts: processes are as busy when tasks are not alike.
GROUP, PARTS = 32, 2
#: Bytes of a task that may go in one. Larger: groups that are parted are longer, twice.
SMALL = 512

#: What a task is known by, to its pool.
Name = Any


class _Open:
    """A task that was put and has no result."""

    __slots__ = ("names", "place", "size", "tag")

    def __init__(self, size: int, names: bool) -> None:
        self.size = size
        #: Whether it may name what other tasks have brought.
        self.names = names
        # Of its message, as soon as it has one, and its place there.
        self.tag = b""
        self.place = 0

    @property
    def reference(self) -> bytes:
        return groups.reference(self.tag, self.place)


class Reader(enum.Enum):
    """Who reads results.

    READS         the thread whose work that is
    WAITS         nobody: that thread waits to be called, as no result can come
    STANDS_BACK   who waits for the only one that can come, and no other; the thread waits as before

                 a task is put        nothing is open      the caller ends, or cannot go on
    READS        READS                WAITS
    WAITS        READS, STANDS_BACK
    STANDS_BACK  STANDS_BACK                               WAITS, READS
    """

    READS = enum.auto()
    WAITS = enum.auto()
    STANDS_BACK = enum.auto()


class TaskQueue:
    """Where a pool's tasks are put. One thread puts; several may be told of results and ends."""

    def __init__(self, name_of: Callable[[Any], Name], holds_back: bool = True) -> None:
        """`name_of`: the name of what is put, None if it asks for no result."""
        # Of the patched class: `connection.Pipe` makes it.
        ends: tuple[Any, Any] = connection.Pipe()
        self.ours, self.theirs = ends
        self._name_of = name_of
        self._repeated = Repeated(new_id())
        self._holds_back = holds_back
        self._first: list[Command] = []
        self._messages: list[bytes] = []
        #: Tasks behind these that may go in a group: pickles, and what is open of each.
        self._short: list[tuple[bytes, _Open]] = []
        self._since = 0.0
        self._held = HELD
        self._bytes = 0
        # By itself where nobody is waited for: a condition's is entered by a function more.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        #: Tasks without a result.
        self._open: dict[Name, _Open] = {}
        self._open_bytes = 0
        # Puts that wait until there are fewer.
        self._waits = 0
        #: How many results came together of late; at most GROUP.
        self._together = 0
        #: Processes that take, by the names of their lists.
        self._takers: set[str] = set()
        # Moved with the lock held; what the thread is called by.
        self._reader = Reader.READS
        # Of whose task, if it stands back: others that call meanwhile neither read nor hand over.
        self._own: Name = None
        self._called: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._ends = False

    def __reduce__(self) -> tuple[Any, ...]:
        context.assert_spawning(self)
        # One that passes on is begun again from the same pickle, so from the same name.
        name = context.get_spawning_popen().uid  # type: ignore[union-attr]
        self._takers.add(name)
        _queues[name] = self
        return Taker, (self.theirs, name)

    def __del__(self) -> None:
        self._repeated.close()
        # The interpreter's end empties modules; the session is over then.
        attached = getattr(sessions, "attached", None)
        session = attached() if attached else None
        shared = getattr(self.ours, "_shared", None)
        if session is not None and shared is not None and not session.store.closed:
            for name in self._takers:
                keys = taken_keys(session.keys, shared.hold.oid, name)
                session.store.soon(("DEL", *keys), ("SREM", session.keys("keys"), *keys))

    def put(self, task: Any) -> None:
        """Put a task, and wait while there are too many; the last of a burst is to be followed by flush()."""
        self.add(task)
        if self.too_many():
            self.flush()
            with self._changed:
                self._waits += 1
                self._changed.wait_for(lambda: not self.too_many())
                self._waits -= 1

    def add(self, task: Any) -> None:
        """Put a task however many there are."""
        name, known, stored, content = self._pickled(task)
        if known.size <= SMALL and name is not None and type(content) is bytes:
            self._first += sharing.carriage(sessions.current(), self.ours._shared.hold.oid)
            self._short.append((content, known))
        else:
            # A task that cannot be packed is none.
            first, message = self.ours.packed(content)
            known.tag = message[:TAG]
            self._put_together()
            self._first += (*stored, *first)
            self._messages.append(message)
        if name is not None:
            with self._lock:
                self._has_to_read()
                self._open[name] = known
                self._open_bytes += known.size
        self._bytes += len(content)
        now = time.monotonic()
        # The first of a burst goes at once, since processes wait for it; so does what ends one.
        enough = len(self._messages) + len(self._short) >= BURST or self._bytes > WINDOW // 16
        if enough or name is None or now - self._since >= self._held:
            held = min(HELD_MOST, 2 * self._held)
            self.flush(now)
            self._held = held

    def flush(self, now: float = 0.0) -> None:
        """Send what was put; a burst ends here."""
        self._held = HELD
        self._put_together()
        if not self._messages:
            return
        first, messages = self._first, self._messages
        self._first, self._messages, self._bytes = [], [], 0
        self._since = now or time.monotonic()
        self._push(first, messages)

    def prepared(self, task: Any) -> tuple[Name, _Open, Sequence[Command], bytes]:
        """What it is known by, what is open of it, what is sent before it, its message."""
        name, known, stored, content = self._pickled(task)
        first, message = self.ours.packed(content)
        known.tag = message[:TAG]
        return name, known, (*stored, *first), message

    def put_own(self, prepared: tuple[Name, _Open, Sequence[Command], bytes]) -> None:
        """Put one of which none is at hand that could go along. Its caller would read its result."""
        name, known, first, message = prepared
        with self._lock:
            self._has_to_read(None if self._open else name)
            self._open[name] = known
            self._open_bytes += known.size
        self._push(first, (message,))

    def _pickled(self, task: Any) -> tuple[Name, _Open, Sequence[Command], Payload]:
        """What it is known by, what is open of it, what is stored before it, its pickle."""
        if self.ours._shared is None:
            raise OSError("handle is closed")
        content, name = pickling.dumps(task), self._name_of(task)
        if not isinstance(content, Pieces) or name is None:
            return name, _Open(len(content), isinstance(content, Pieces)), (), content
        stored, content = self._repeated.named(sessions.current(), name, content)
        return name, _Open(content.own, True), stored, content

    def _push(self, first: Sequence[Command], messages: Sequence[bytes]) -> None:
        session, shared = sessions.current(), self.ours._shared
        shared.sent.begin(session.store)
        memory.cast(*first, with_words(shared.push, *messages), on_reply=shared.sent)

    def came_together(self, results: int) -> None:
        """So many results were sent at once: their process had taken the tasks together, being short."""
        self._together = min(GROUP, max(results, self._together)) if results > 1 else self._together // 2

    def _put_together(self) -> None:
        """Make messages of the tasks that may go in groups."""
        short, self._short = self._short, []
        # Each process is to have some of them.
        each = min(GROUP, self._together, len(short) // (PARTS * max(1, len(self._takers))))
        if each < 2:
            for content, known in short:
                _, message = self.ours.packed(content)
                known.tag = message[:TAG]
                self._messages.append(message)
            return
        session, shared = sessions.current(), self.ours._shared
        for begin in range(0, len(short), each):
            group = short[begin : begin + each]
            pickles = [content for content, _ in group]
            if len(group) == 1:
                _, message = self.ours.packed(pickles[0])
            else:
                message = groups.sealed(session, shared.outbound, shared.hold.numbers, pickles)
            for place, (_, known) in enumerate(group):
                known.tag, known.place = message[:TAG], place
            self._messages.append(message)

    def has_result(self, name: Name) -> bool:
        """The result of a task has come; False when it had one."""
        with self._lock:
            known = self._open.pop(name, None)
            if known is None:
                return False
            self._open_bytes -= known.size
            if self._waits:
                self._changed.notify()
        if known.names:
            self._repeated.done(name)
        return True

    def await_any(self) -> None:
        """Return when a result may come: a task has none yet, or the end was put. For one thread."""
        with self._lock:
            if self._open or self._ends:
                return
            self._reader = Reader.WAITS
        self._called.get()

    def caller_reads(self, name: Name) -> bool:
        """Whether who waits for that task's result is to read it, and nobody else's can come."""
        # What has become of it in the next moment no lock could tell.
        return self._own == name and len(self._open) == 1 and name in self._open

    def hand_over(self, name: Name) -> None:
        """Who waits for that task's result reads no more, or has not."""
        with self._lock:
            if self._own == name:
                self._reader, self._own = Reader.WAITS, None
                if self._open or self._ends:
                    self._has_to_read()

    def lacks(self, name: Name) -> bool:
        """Whether that task has no result yet."""
        return name in self._open

    def unfinished(self) -> int:
        """How many tasks have no result yet."""
        return len(self._open)

    def takers(self) -> int:
        """How many processes take them."""
        return len(self._takers)

    def ended(self, taker: str, vanished: bool) -> list[Name]:
        """A process has ended; the names of the tasks that it had begun and whose results never come.

        `vanished`: nobody saw it end, and it may still act.
        """
        if taker not in self._takers:
            return []
        self._takers.discard(taker)
        session, shared = sessions.current(), self.ours._shared
        taken = taken_keys(session.keys, shared.hold.oid, taker)
        keys = shared.outbound, *taken, session.keys("keys")
        begun = set(session.store.ask(*script("reclaim", keys, (session.ttl, int(vanished)))))
        with self._lock:
            return [name for name, known in self._open.items() if known.reference in begun] if begun else []

    def answer(self, result: Any) -> None:
        """Push a result that no process of the pool can; None is the end."""
        if result is None:
            with self._lock:
                self._ends = True
                self._has_to_read()
        self.theirs.post(pickling.dumps(result))

    def let_through(self) -> None:
        """Hold nothing back any more: the pool ends, and whoever puts is to see that."""
        with self._changed:
            self._holds_back = False
            self._changed.notify_all()

    def _has_to_read(self, own: Name = None) -> None:
        """A result may come, or the end. `own`: of that task, and who waits for it would read it."""
        if self._reader is not Reader.WAITS:
            return
        if own is not None:
            self._own, self._reader = own, Reader.STANDS_BACK
        else:
            # First, since a signal's handler may end this anywhere: it is called in vain then.
            self._called.put(None)
            self._reader = Reader.READS

    def too_many(self) -> bool:
        """Whether a put would wait."""
        count = len(self._open)
        if not self._holds_back or count <= EACH * len(self._takers):
            return False
        return count > MESSAGES or self._open_bytes > WINDOW


def of_taker(name: str) -> TaskQueue | None:
    """The tasks that the process of that holder id takes, if it was given any."""
    return _queues.get(name)


_queues: weakref.WeakValueDictionary[str, TaskQueue] = weakref.WeakValueDictionary()
