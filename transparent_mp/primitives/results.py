"""The results of a pool, at the process that waits for them: popped as many at once as are there.

A message holds one, or those of several tasks of one process.

A task has one result here, whatever has become of the process that ran it (`tasks`): what answers for
a task that had its result already is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from multiprocessing import context
from typing import Any, Callable

from transparent_mp.primitives import memory, pickling, several
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.taking import Results
from transparent_mp.primitives.tasks import Name, TaskQueue
from transparent_mp.store.content import is_whole, unpack
from transparent_mp.store.link import Command, Reply
from transparent_mp.store.pieces import Payload

#: Messages popped at once at most. Larger: the store keeps more for an answer that is lost.
BURST = 32


class ResultQueue:
    """The results of what was put into a TaskQueue. One thread gets them."""

    def __init__(self, tasks: TaskQueue, name_of: Callable[[Any], Name]) -> None:
        """`name_of`: the task that a result is of, None if it is of none."""
        self.tasks = tasks
        self._name_of = name_of
        self._here: deque[bytes] = deque()
        self._opened: deque[Payload] = deque()
        # What was popped and not looked at yet, with what came behind it.
        self._popped: list[Reply] = []

    def __reduce__(self) -> tuple[Any, ...]:
        context.assert_spawning(self)
        return Results, (self.tasks,)

    @property
    def at_hand(self) -> bool:
        """Whether a result has come that was not got yet."""
        return bool(self._opened or self._here or self._popped)

    def put(self, result: Any) -> None:
        """Put what no process of the pool can: the end, or the result of one that has died."""
        self.tasks.answer(result)

    def get_next(self) -> Any:
        """get(), for whom nobody else calls: waits without the store while no result can come."""
        # Most have come with others.
        while self._opened:
            result = pickling.loads(self._opened.popleft())
            name = self._name_of(result)
            if name is None or self.tasks.has_result(name):
                return result
        return self._next(self.tasks.await_any)

    def get(self) -> Any:
        return self._next(None)

    def read_own(self, name: Name) -> Any:
        """For who waits for that task's result: read it; None where the thread whose work that is has to.

        What comes stays here until it is known to be that result, whatever a signal's handler raises.
        """
        tasks, popped = self.tasks, self._popped
        session, key = sessions.current(), tasks.ours._shared.inbound
        while tasks.caller_reads(name):
            if not popped:
                session.store.pop(key, None, memory.fetch(), found=popped)
            message, *fetched = popped
            if not message or not is_whole(message) or not tasks.caller_reads(name):
                return None
            content = unpack(session, key, message)
            if len(several.divided(content)) > 1:
                return None
            memory.merge(fetched)
            try:
                # From here on it is nobody else's: what its pickle takes over it takes over once.
                popped.clear()
                result = pickling.loads(content)
                found = self._name_of(result)
                if found is None:
                    # The end, or what else the thread is told.
                    popped.append(message)
                    return None
                if tasks.has_result(found):
                    return result
            except BaseException:
                if not popped:
                    tasks.has_result(name)
                raise
        return None

    def _next(self, await_any: Callable[[], None] | None) -> Any:
        while True:
            if await_any is not None and not self.at_hand:
                await_any()
            if not self._opened:
                message = self._here.popleft() if self._here else self._take()
                if not message:
                    raise EOFError
                content = unpack(sessions.current(), self.tasks.ours._shared.inbound, message)
                found = several.divided(content)
                self.tasks.came_together(len(found))
                self._opened.extend(found)
            result = pickling.loads(self._opened.popleft())
            name = self._name_of(result)
            if name is None or self.tasks.has_result(name):
                return result

    def _take(self) -> bytes:
        # A blocking pop gives one, and behind it what came with it. On a link of its own, since whoever puts
        # tasks uses the shared one meanwhile.
        session, key = sessions.current(), self.tasks.ours._shared.inbound
        if self._popped:
            # By who waited for it, and met something else.
            message, *fetched = self._popped
            self._popped.clear()
        else:
            more = self._others()
            replies = session.store.pop(key, None, (*more, *memory.fetch()))
            assert replies is not None
            message, *fetched = replies
            if more:
                self._here.extend(fetched.pop(0) or ())
        memory.merge(fetched)
        return message  # type: ignore[no-any-return]

    def _others(self) -> Sequence[Command]:
        """What fetches the messages behind the one that is popped, if there may be some."""
        key = self.tasks.ours._shared.inbound
        return (("LPOP", key, str(BURST)),) if self.tasks.unfinished() > 1 else ()
