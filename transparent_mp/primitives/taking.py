"""The tasks of a pool, at a process that runs them: taken, begun, and done with their results.

One blocking move takes a task from the list of tasks into this process's own; the script behind it
takes more when tasks are short: as many as last for SPAN, or for a few round trips where the store
is far. That they have come is said before the first begins, and what has a result is pushed before
the next begins, so of what is taken none or the first is the one that is run: `tasks` says what
becomes of them when this process dies.

A task may take longer than those before it, and what was taken behind it must not wait. A thread
that looks every few milliseconds, while something is taken ahead, gives it back.

`Taker` stands where a pool's process has its queue of tasks, `Results` where it has that of results.
"""

from __future__ import annotations

import contextlib
import math
import queue as queues
import threading
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing import reduction
from typing import Any

from transparent_mp import background
from transparent_mp.errors import StoreError
from transparent_mp.primitives import memory
from transparent_mp.primitives import session as sessions
from transparent_mp.store.attempts import attempt
from transparent_mp.store.content import unpack
from transparent_mp.store.keys import Keys
from transparent_mp.store.link import Command, Reply
from transparent_mp.store.scripts import script
from transparent_mp.store.seal import TAG

_dumps = reduction.ForkingPickler.dumps
_loads = reduction.ForkingPickler.loads

#: Seconds that what is taken at once is to last, and the least number of round trips. Larger: fewer
#: trips for each task; smaller: less waits behind a task that takes longer than those before it.
SPAN = 0.001
TRIPS = 2
#: Tasks taken at once at most.
MOST = 32
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
        self._taken, self._begins = taken_keys(session.keys, shared.hold.oid, name)
        self._holders = session.keys.object(shared.hold.oid, f"h{shared.hold.side}")
        session.store.cast(("SADD", session.keys("keys"), self._taken, self._begins))
        self._lock = threading.Lock()
        #: Messages taken and not begun; taken from with the lock held.
        self._ahead: deque[bytes] = deque()
        self._begun = False
        self._tag = b""
        #: Whether there were more tasks than were taken.
        self._more = True
        #: A result that goes with the next question for tasks.
        self._unsent: tuple[Command, ...] = ()
        self._since = 0.0
        #: Seconds of a task: of a longer one than before at once, of shorter ones by and by.
        self._typical = 0.0
        self._trip = math.inf
        self._number = 0
        self._watched = False
        self._holding = threading.Event()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """The next task. Raises queue.Empty, EOFError."""
        now = time.monotonic()
        if self._since:
            lasted = now - self._since
            self._typical = max(lasted, (self._typical + lasted) / 2)
        message = self._next()
        if message is None and self._more:
            message = self._take()
            self._trip = min(self._trip, time.monotonic() - now)
        if message is None:
            message = self._await(timeout if block else 0.0)
        self._begun = True
        self._tag = message[:TAG]
        self._since = time.monotonic()
        return _loads(unpack(self._session, self._list, message, self._end._shared.hold.seen))

    def done(self, content: Any) -> None:
        """The task that was begun has this result."""
        session, shared = self._session, self._end._shared
        ack = shared.flow.count(len(content))
        first, message = self._end.packed(content, ack)
        keys = self._taken, self._begins, shared.peers, shared.outbound
        push = script("done", keys, (session.ttl, self._tag, message))
        self._begun = False
        self._unsent += (*first, push)
        if self._ahead or ack or first:
            self._send()
        if ack:
            shared.flow.asked(message)
            shared.flow.wait()

    def leave(self) -> None:
        """This process takes nothing more: give back what it has not begun."""
        # Whoever cannot tell the store leaves it to who sees this process end.
        with self._lock, contextlib.suppress(StoreError):
            self._send()
            self._ahead.clear()
            self._give_back(stay=int(self._begun))

    def _next(self) -> bytes | None:
        with self._lock:
            self._number += 1
            return self._ahead.popleft() if self._ahead else None

    def _send(self) -> None:
        """Send the result that was to go with the next question for tasks."""
        unsent, self._unsent = self._unsent, ()
        if unsent:
            self._end._shared.sent.begin(self._session.store)
            memory.cast(*unsent, on_reply=self._end._shared.sent)

    def _take(self) -> bytes | None:
        """The first of the tasks that are there, if any are; the last result goes along."""
        unsent, self._unsent = self._unsent, ()
        replies = memory.call(*unsent, self._taking(self._several(), waited=False), *memory.fetch())
        if unsent and replies[len(unsent) - 1] == -1:
            raise EOFError
        taken, *fetched = replies[len(unsent) :]
        memory.merge(fetched)
        self._has(taken)
        return self._next()

    def _await(self, timeout: float | None) -> bytes:
        """The next task that is put."""
        self._send()
        commands = (
            ("BLMOVE", self._list, self._taken, "LEFT", "RIGHT", 0),
            self._taking(self._several() - 1, waited=True),
            *memory.fetch(),
        )
        message, taken, *fetched = self._asked(commands, timeout)
        memory.merge(fetched)
        self._has(taken)
        if message is None:
            message = self._next()
        if message is None:
            raise queues.Empty
        if not message:
            self._give_back(stay=0)
            raise EOFError
        # What is moved for a process that is dead by then, unseen, was never begun.
        self._session.store.cast(("SET", self._begins, 1, "PX", self._session.ttl))
        return message  # type: ignore[no-any-return]

    def _taking(self, count: int, waited: bool) -> Command:
        keys = self._list, self._taken, self._begins, self._holders
        return script("take", keys, (count, self._session.ttl, int(waited)))

    def _has(self, taken: list[Any]) -> None:
        """What the script has moved, behind what is left."""
        left, *messages = taken
        self._more = left > 0
        if messages:
            with self._lock:
                self._ahead.extend(messages)
            self._watch()

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

    def _give_back(self, count: int = MOST + 1, stay: int = 0) -> None:
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
            with self._lock:
                if not self._ahead:
                    self._holding.clear()
                elif number == self._number:
                    count = len(self._ahead)
                    self._ahead.clear()
                    # Whoever runs the task meets the same trouble.
                    with contextlib.suppress(StoreError):
                        self._give_back(count)


class Results:
    """Where the results of what a Taker takes are put."""

    def __init__(self, taker: Taker) -> None:
        self._taker = taker

    def put(self, result: Any) -> None:
        self._taker.done(_dumps(result))
