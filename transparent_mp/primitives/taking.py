"""The tasks of a pool, at a process that runs them: taken, begun, and done with their results.

One blocking move takes a message from the list of tasks into this process's own, a task or a group of
them (`groups`), whose end it gives back if that is too much; the script behind it takes more when tasks
are short: as many as last for SPAN, or for a few round trips where the store is far. That they have
come is said before the first begins. Results of what was taken together go together, as one message;
what has a result and was not pushed stands where its supervisor sees it (`untold`) before the next task
begins. So when that has been told, none or the first of what is left is the one that was run: `tasks`
says what becomes of them when this process dies.

A task may take longer than those before it, and neither what was taken behind it nor the results
before it must wait. A thread that looks every few milliseconds, while something is taken ahead, gives
it back and sends them.

`Taker` stands where a pool's process has its queue of tasks, `Results` where it has that of results.
"""

from __future__ import annotations

import contextlib
import math
import queue as queues
import threading
import time
from collections.abc import Sequence
from typing import Any

from transparent_mp import background
from transparent_mp.errors import StoreError
from transparent_mp.primitives import memory, pickling, repeated, several, untold
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.groups import Ahead, Where, length
from transparent_mp.store.attempts import attempt
from transparent_mp.store.commands import Ready
from transparent_mp.store.content import pack, unpack
from transparent_mp.store.keys import Keys
from transparent_mp.store.link import Command, Reply
from transparent_mp.store.pieces import Payload, Pieces
from transparent_mp.store.scripts import script
from transparent_mp.store.session import Session

#: Seconds that what is taken at once is to last, and the least number of round trips. Larger: fewer
#: trips for each task; smaller: less waits behind a task that takes longer than those before it.
SPAN = 0.002
TRIPS = 2
#: Tasks taken at once at most.
MOST = 256
#: More than a process can have taken.
ALL = 1 << 20
#: Seconds of a task that count at once, and not by and by as of shorter ones: what takes so long by itself.
#: Smaller: a short interruption has few tasks taken.
LONG = SPAN / 8
#: A result larger than this is not held back. Larger: it waits for others' sake; smaller: more writes.
SMALL = 4096
#: Seconds between looks whether a task has been running since the last one. What another process
#: runs cannot wake it, and a task that computes is not asked.
LOOK_EVERY = 0.005


def taken_keys(keys: Keys, oid: str, name: str) -> tuple[str, str]:
    """The list of what the process of that name has taken of the pool's tasks, and that it has it."""
    return keys.object(oid, "t:" + name), keys.object(oid, "b:" + name)


class Taker:
    """Takes the tasks of a pool, for one thread."""

    def __init__(self, end: Any, name: str) -> None:
        """`end` of the pool's pipe; `name` of this process as the pool knows it."""
        session, self._end = sessions.current(), end
        shared = end._shared
        self._session = session
        self._list = shared.inbound
        # As text, as which it is sent.
        self._ttl = str(session.ttl)
        self._seen = shared.hold.seen
        self._taken, self._begins = taken_keys(session.keys, shared.hold.oid, name)
        self._waits = Ready(("BLMOVE", self._list, self._taken, "LEFT", "RIGHT", "0"))
        self._looks = Ready(("LLEN", self._list))
        self._has_one = Ready(("SET", self._begins, "1", "PX", self._ttl))
        self._untold = untold.own()
        if self._untold is not None:
            self._untold.begin((self._taken, self._begins, shared.peers, shared.outbound))
        self._holders = session.keys.object(shared.hold.oid, f"h{shared.hold.side}")
        session.store.cast(("SADD", session.keys("keys"), self._taken, self._begins))
        # Held while the store is told or asked, in its order; and, alone or within it, for what two threads
        # change, never while the store is used: its answers come with its own lock held.
        self._telling = threading.Lock()
        self._lock = threading.Lock()
        #: What is taken and not begun; with the lock held.
        self._ahead = Ahead(session, self._list)
        self._begun = False
        #: Whether there were more tasks than were taken.
        self._more = self._crowded = True
        #: Results that are held back, of tasks one after the other, and the first and last of these; with the
        #: lock held.
        self._held: list[bytes] = []
        self._held_of: tuple[Where, Where] | None = None
        #: A result that goes with the next question for tasks.
        self._unsent: tuple[Command, ...] = ()
        #: How many results have been noted there.
        self._noted = 0
        self._since = 0.0
        #: Seconds of a task: of a long one at once, of shorter ones by and by.
        self._typical = 0.0
        self._trip = math.inf
        self._number = 0
        self._watched = False
        self._holding = threading.Event()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """The next task. Raises queue.Empty, EOFError."""
        if self._unsent and not self._more:
            # No question goes along, and somebody waits for it.
            with self._telling:
                self._send()
        now = time.monotonic()
        if self._since:
            lasted = now - self._since
            mean = (self._typical + lasted) / 2
            self._typical = max(lasted, mean) if lasted > LONG else mean
        task = self._next()
        if task is None:
            with self._telling:
                if self._more:
                    task = self._take()
                    self._trip = min(self._trip, time.monotonic() - now)
                if task is None:
                    task = self._await(timeout if block else 0.0)
        self._since = time.monotonic()
        content, alone = task
        if alone:
            session = self._session
            content = unpack(session, self._list, content, self._seen)  # type: ignore[arg-type]
            content = repeated.whole(session, content)
        return pickling.loads(content)

    def done(self, content: Any) -> None:
        """The task that was begun has this result."""
        task, self._begun = self._ahead.begun(), False
        if self._ahead and len(content) <= SMALL and self._hold_back(task, content):
            return
        with self._telling:
            if isinstance(content, Pieces):
                # It stays where it lies: those before it go in a message of their own.
                self._send_held()
            # Only this thread holds back.
            of, held = self._take_held() if self._held else (None, [])
            self._done(of[0] if of else task, task, [*held, content], more=bool(self._ahead))

    def _hold_back(self, task: Where, content: Any) -> bool:
        """Whether a result may wait for those after it: who sees this process end would tell it."""
        with self._lock:
            if self._untold is None or not self._ahead or not self._untold.add(task[0], task[2], content):
                return False
            self._noted += 1
            self._held_of = (self._held_of[0] if self._held_of else task), task
            self._held.append(content)
            return True

    def _take_held(self) -> tuple[tuple[Where, Where] | None, list[bytes]]:
        with self._lock:
            of, self._held_of = self._held_of, None
            held, self._held = self._held, []
            return of, held

    def _done(self, first: Where, last: Where, contents: Sequence[Any], *, more: bool) -> None:
        """The tasks from one to the other have these results. `more`: no question for the next follows."""
        shared = self._end._shared
        content: Payload = contents[0] if len(contents) == 1 else several.joined(contents)
        ack = shared.flow.count(len(content))
        before, message = self._end.packed(content, ack)
        keys = self._taken, self._begins, shared.peers, shared.outbound
        (tag, begins, place), (_, ends, last_place) = first, last
        through = str(place), str(ends - begins), str(last_place + 1)
        self._unsent += (*before, script("done", keys, (self._ttl, tag, *through, message)))
        if more or ack or before:
            self._send()
        if ack:
            shared.flow.asked(message)
            shared.flow.wait()

    def _told(self, noted: int) -> None:
        """The store has what was noted by then."""
        with self._lock:
            if self._untold is not None and noted == self._noted and not self._held:
                self._untold.clear()

    def leave(self) -> None:
        """This process takes nothing more: give back what it has not begun."""
        # Whoever cannot tell the store leaves it to who sees this process end.
        with contextlib.suppress(StoreError), self._telling:
            self._send_held()
            self._send()
            with self._lock:
                self._ahead.forget(self._seen)
            self._give_back(stay=int(self._begun))

    def _next(self) -> tuple[Payload, bool] | None:
        with self._lock:
            self._number += 1
            if not self._ahead:
                return None
            self._begun = True
            return self._ahead.begin(self._seen)

    def _send(self) -> None:
        """Send the result that was to go with the next question for tasks."""
        unsent, self._unsent = self._unsent, ()
        if unsent:
            sent, noted = self._end._shared.sent, self._noted
            sent.begin(self._session.store)

            def answered(length: Any) -> None:
                sent(length)
                self._told(noted)

            memory.cast(*unsent, on_reply=answered)

    def _send_held(self) -> None:
        """Send what is held back, though what it is held back for goes on."""
        of, held = self._take_held()
        if of is not None:
            self._done(*of, held, more=True)

    def _take(self) -> tuple[Payload, bool] | None:
        """The first of the tasks that are there, if any are; the last result goes along."""
        unsent, self._unsent = self._unsent, ()
        noted = self._noted
        replies = memory.call(*unsent, self._taking(self._several(), waited=False), *memory.fetch())
        if unsent and replies[len(unsent) - 1] == -1:
            raise EOFError
        self._told(noted)
        taken, *fetched = replies[len(unsent) :]
        memory.merge(fetched)
        self._has(taken)
        return self._next()

    def _await(self, timeout: float | None) -> tuple[Payload, bool]:
        """The next task that is put."""
        self._send()
        commands = (
            self._waits,
            # Where one came alone the next may; a script takes longer to find that than the list's length.
            self._taking(self._several() - 1, waited=True) if self._crowded else self._looks,
            *memory.fetch(),
        )
        message, taken, *fetched = self._asked(commands, timeout)
        memory.merge(fetched)
        if message == b"":
            self._give_back(stay=0)
            raise EOFError
        together = self._has(taken, message) and self._untold is not None
        if not self._ahead:
            raise queues.Empty
        # What is moved for a process that is dead by then, unseen, was never begun.
        self._session.store.cast(("SET", self._begins, "2", "PX", self._ttl) if together else self._has_one)
        task = self._next()
        assert task is not None
        if self._ahead:
            with self._lock:
                surplus = self._ahead.forget(self._seen, self._several() - 1)
            if surplus:
                # Whoever put the group thought of shorter tasks.
                self._give_back(surplus)
        return task

    def _taking(self, count: int, waited: bool) -> Command:
        keys = self._list, self._taken, self._begins, self._holders
        begun = "1" if self._untold is None else "2"
        return script("take", keys, (str(count), self._ttl, str(int(waited)), begun))

    def _has(self, taken: Any, first: bytes | None = None) -> bool:
        """What the script has moved, behind what is left; or what is left. `first`: what was moved before.

        Whether it is more than one task.
        """
        left, *messages = taken if isinstance(taken, list) else (taken,)
        self._more = left > 0
        self._crowded = self._more or bool(messages)
        if first is not None:
            messages.insert(0, first)
        with self._lock:
            self._ahead.extend(messages)
        several = len(messages) > 1 or (bool(messages) and length(messages[0]) > 1)
        if several:
            self._watch()
        return several

    def _asked(self, commands: Sequence[Command], timeout: float | None) -> list[Reply]:
        """What the store answers; what it could not give in time is not taken."""
        return attempt(self._session.store, commands, timeout, self._found)

    def _found(self) -> list[Reply] | None:
        """The answers that were lost: nothing was begun, so all that lies there was taken just now."""
        messages, *fetched = memory.call(("LRANGE", self._taken, 0, -1), *memory.fetch())
        if messages:
            return [messages[0], [1, *messages[1:]], *fetched]
        memory.merge(fetched)
        return None

    def _several(self) -> int:
        """How many tasks to take at once."""
        if not self._typical:
            return 1
        span = max(SPAN, TRIPS * self._trip) if self._trip < math.inf else SPAN
        return max(1, min(MOST, int(span / self._typical)))

    def _give_back(self, count: int = ALL, stay: int = 0) -> None:
        """Give back the last `count` of what was taken; of all of it `stay` are kept."""
        session = self._session
        keys = self._list, self._taken
        # Waited for: what is taken next, on another link, must not come before it.
        session.store.ask(*script("give_back", keys, (count, stay, session.ttl)))

    def _watch(self) -> None:
        if not self._watched:
            self._watched = True
            background.start(self._look)
        if not self._holding.is_set():
            self._holding.set()

    def _look(self) -> None:
        while True:
            self._holding.wait()
            number = self._number
            time.sleep(LOOK_EVERY)
            with self._telling:
                with self._lock:
                    if not self._ahead and not self._held:
                        self._holding.clear()
                    if number != self._number:
                        continue
                    count = self._ahead.forget(self._seen)
                # Whoever runs the task meets the same trouble.
                with contextlib.suppress(OSError):
                    self._send_held()
                    if count:
                        self._give_back(count)


def last_words(session: Session, left: untold.Untold) -> list[Command]:
    """Commands that tell what a Taker has left, and that it had begun no more than the first of the rest."""
    names, results = left.told()
    if not names:
        return []
    taken, begins, peers, outbound = names
    commands: list[Command] = []
    keys = taken, begins, peers, outbound
    for tag, place, content in results:
        first, message = pack(session, outbound, content)
        commands += (*first, script("done", keys, (session.ttl, tag, place, 0, place + 1, message)))
    return [*commands, ("SET", begins, 1, "XX", "PX", session.ttl)]


class Results:
    """Where the results of what a Taker takes are put."""

    def __init__(self, taker: Taker) -> None:
        self._taker = taker

    def put(self, result: Any) -> None:
        self._taker.done(pickling.dumps(result))
