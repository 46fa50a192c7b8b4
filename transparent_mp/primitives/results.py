"""The results of a pool, at the process that waits for them: popped as many at once as are there.

A task has one result here, whatever has become of the process that ran it (`tasks`): what answers for
a task that had its result already is dropped.
"""

from __future__ import annotations

from collections import deque
from multiprocessing import context, reduction
from typing import Any, Callable

from transparent_mp.primitives import memory
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.taking import Results
from transparent_mp.primitives.tasks import Name, TaskQueue
from transparent_mp.store.content import unpack

_loads = reduction.ForkingPickler.loads

#: Results popped at once at most. Larger: more memory for a burst of them.
BURST = 64


class ResultQueue:
    """The results of what was put into a TaskQueue. One thread gets them."""

    def __init__(self, tasks: TaskQueue, name_of: Callable[[Any], Name]) -> None:
        """`name_of`: the task that a result is of, None if it is of none."""
        self.tasks = tasks
        self._name_of = name_of
        self._here: deque[bytes] = deque()

    def __reduce__(self) -> tuple[Any, ...]:
        context.assert_spawning(self)
        return Results, (self.tasks,)

    @property
    def at_hand(self) -> bool:
        """Whether a result has come that was not got yet."""
        return bool(self._here)

    def put(self, result: Any) -> None:
        """Put what no process of the pool can: the end, or the result of one that has died."""
        self.tasks.answer(result)

    def get(self) -> Any:
        while True:
            message = self._here.popleft() if self._here else self._take()
            if not message:
                raise EOFError
            result = _loads(unpack(sessions.current(), self.tasks.ours._shared.inbound, message))
            name = self._name_of(result)
            if name is None or self.tasks.has_result(name):
                return result

    def _take(self) -> bytes:
        key = self.tasks.ours._shared.inbound
        # Who waits for a single one would pay for the second command in vain.
        behind = (("LPOP", key, BURST - 1),) if self.tasks.unfinished() > 1 else ()
        replies = sessions.current().store.pop(key, None, (*behind, *memory.fetch()))
        assert replies is not None
        message, *fetched = replies
        if behind:
            self._here.extend(fetched.pop(0) or ())
        memory.merge(fetched)
        return message  # type: ignore[no-any-return]
