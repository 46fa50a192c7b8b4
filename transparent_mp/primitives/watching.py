"""A real fd that is readable exactly when a list in the store has an element.

    IDLE     nothing outstanding
    LOOKING  a blocking look is outstanding on the watch's own link, sent a moment ago: whether the
             list was empty then is not known yet
    ARMED    a look is outstanding, and its answer would have come if there were an element

BLMOVE of a list's head onto itself blocks until there is one and takes nothing; its answer is what
makes the fd readable, so nothing else may be read while it is on its way: the bytes must wait in
the kernel, not in our reader.

Asking for the fd makes sure (ARMED); taking an element looks again (LOOKING), for programs that
have registered the fd once and for all.

When the connection is lost, the look goes on on another, and the fd becomes that one's; who was waiting
with it may be told once that there is something although there is nothing (`waiting` looks again).

Answers on two connections may overtake each other: the end of a process may be known before the answer to the
look that tells of what it has sent. So, where a time is over and before the end of a process is told of,
watches that tell of nothing ask how much there is, all in one round trip, and wait for answers that must be
there (`catch_up`). Unlike the standard library, an fd may tell of a message a moment later than another fd
of one that was sent after it.
"""

from __future__ import annotations

import enum
import os
import select
import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from typing import Any, Callable, Protocol

from transparent_mp.errors import StoreError, StoreReplyError
from transparent_mp.primitives import forked
from transparent_mp.store.link import Command, Reply
from transparent_mp.store.popping import put_back
from transparent_mp.store.store import Store

#: Seconds to wait for a look's answer that must be there, before asking again whether another
#: holder has taken the element meanwhile.
ANSWER = 0.05


class State(enum.Enum):
    """What is known of the outstanding look."""

    IDLE = "idle"
    LOOKING = "looking"
    ARMED = "armed"


class Telling(Protocol):
    """What tells by an fd of what has come."""

    @property
    def length(self) -> Command: ...

    def came(self, length: int) -> bool: ...

    def silent(self, timeout: float = 0.0) -> bool: ...


class Watch:
    """Watches one list. Thread-safe."""

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key
        self._look: Command = ("BLMOVE", key, key, "LEFT", "LEFT", 0)
        #: What asks how many elements there are.
        self.length: Command = ("LLEN", key)
        self._lock = threading.Lock()
        self._state = State.IDLE
        self.line = store.watch()
        #: Whether it came along with a fork, and is the parent's.
        self.inherited = False
        #: The fd that the program knows, a duplicate.
        self.handle = -1
        self._link = self.line.link
        self._answer: Reply = None
        _watches.add(self)

    def arm(self, *, anew: bool = False) -> None:
        """See that the fd tells the truth from here on: also about what is there already.

        `anew`: and about what has come since it was armed, whose answer may be on its way.
        """
        with self._lock:
            if self._idle():
                self._send_look()
            if self.line.lost():
                self._looked()
            if anew and self._state is State.ARMED:
                self._state = State.LOOKING
            while self._state is State.LOOKING and not self._readable(0):
                if self._store.ask("LLEN", self._key) and not self._readable(ANSWER):
                    continue
                self._state = State.ARMED

    def told_in_vain(self) -> bool:
        """Whether its fd, readable a moment ago, tells of no element; it does when there is one."""
        with self._lock:
            if self.line.lost():
                self._looked()
            return not self._readable(0)

    def wait(self, timeout: float | None) -> bool:
        """Whether an element is there within `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self.arm()
            if not self._readable(None if deadline is None else deadline - time.monotonic()):
                # The time is over, and the answer may be on its way.
                return bool(self._store.ask("LLEN", self._key))
            if self._store.ask("LLEN", self._key):
                return True
            # Another holder has taken what the answer tells of.
            with self._lock:
                if self._readable(0):
                    self._look_again()

    def take(
        self, timeout: float | None, then: Sequence[Command], found: list[Reply] | None = None
    ) -> list[Reply] | None:
        """Pop the first element: [element, *replies of `then`], or None when the time is over.

        `found`: as that of Store.pop.
        """
        found = [] if found is None else found
        deadline = None if timeout is None else time.monotonic() + timeout
        over = False
        while True:
            if deadline is not None and time.monotonic() >= deadline:
                # Nothing is there only if the store says so: the answer may be on its way.
                self.arm(anew=True)
                over = True
            with self._lock:
                if self._idle():
                    self._send_look()
            # Waited for without the lock: others may look at the fd meanwhile.
            if not self._readable(None if deadline is None else deadline - time.monotonic()):
                if over:
                    return None
                continue
            with self._lock:
                if not self._readable(0):
                    # Another thread of this process was faster.
                    continue
                self._pop(then, found)
            for reply in found:
                if isinstance(reply, StoreReplyError):
                    raise reply
            # None: another holder of this end was faster.
            if found and found[0] is not None:
                return found
            found.clear()
            if over:
                return None

    def came(self, length: int) -> bool:
        """Whether, by that answer, it has something to tell."""
        return length > 0

    def silent(self, timeout: float = 0.0) -> bool:
        """Whether a look is outstanding and its answer not here within `timeout` seconds. Takes no lock."""
        if self._state is State.IDLE or self not in _watches:
            return False
        poll = select.poll()
        # Of the two the one that stays what it is whatever another thread does with the line.
        poll.register(self.handle if self.handle >= 0 else self.line.fileno(), select.POLLIN)
        return not poll.poll(timeout * 1000)

    def taken(self) -> None:
        """An element was taken by other means: the fd is to tell of the next one."""
        with self._lock:
            if self._state is not State.IDLE and self._readable(0):
                self._look_again()

    def close(self) -> None:
        """End the watch; what it looked for stays where it is."""
        _watches.discard(self)
        # One that is the parent's stays as it is.
        self._store.retire(self.line)

    def _pop(self, then: Sequence[Command], found: list[Reply]) -> None:
        """The first element with the replies to `then`; nothing when what was there was no answer."""
        if not self._looked():
            return
        self._state = State.IDLE
        try:
            self.line.pop(self._key, then, blocking=False)
            self._store.waits += 1
            while not self.line.collect():
                continue
            self.line.answers(found)
        except StoreError:
            raise
        except BaseException:
            if self.line.outstanding:
                put_back(self._store, self.line, self._key)
            raise
        self._send_look()

    def _look_again(self) -> None:
        if self._looked():
            self._send_look()
            if isinstance(self._answer, StoreReplyError):
                raise self._answer

    def _looked(self) -> bool:
        """Take the look's answer. False when it is not whole, or the connection was lost and it looks on."""
        try:
            self.line.take_ready()
        except BaseException:
            # The answer may have left the kernel: whoever waits for it is told, and looks again.
            self.line.hang_up()
            raise
        self._follow()
        return not self.line.kept

    def _idle(self) -> bool:
        # Or its answer was taken by who was interrupted then.
        return self._state is State.IDLE or not self.line.kept

    def _send_look(self) -> None:
        if not self.line.kept:
            # Else there is one that was sent when this was interrupted.
            self.line.put([self._look], None, self._answered)
        elif not self.line.usable:
            self.line.renew()
        self._follow()
        self._state = State.LOOKING

    def _answered(self, answer: Reply) -> None:
        self._answer = answer

    def _follow(self) -> None:
        """Let the fd be that of the line's present connection."""
        if self.line.link is not self._link:
            self._link = self.line.link
            if self._state is State.ARMED:
                # The look has been sent anew.
                self._state = State.LOOKING
            if self.handle >= 0:
                os.dup2(self.line.fileno(), self.handle)

    def _readable(self, timeout: float | None) -> bool:
        if timeout is not None and timeout <= 0:
            if self.line.link is None or not self.line.usable or self.line.link.buffered():
                return True
            # A poll object serves one thread at a time, and costs little to make.
            poll = select.poll()
            poll.register(self.line.fileno(), select.POLLIN)
            return bool(poll.poll(0))
        return self._store.wait(self.line, timeout)


#: Those of this process that are not closed; weakly, as one may be interrupted before anybody has it.
_watches: weakref.WeakSet[Watch] = weakref.WeakSet()
#: What else tells of what has come.
_others: weakref.WeakSet[Any] = weakref.WeakSet()
#: Has it asked before the end of a process is told of; and no more.
follow, forget = _others.add, _others.discard


def catch_up(ask: Callable[..., list[Reply]], watches: Iterable[Telling]) -> bool:
    """Return when each tells of what is in the store by now. Whether there was one that did not.

    `ask`: how the store is asked.
    """
    silent = [watch for watch in watches if watch.silent()]
    late = False
    while silent:
        lengths = ask(*(watch.length for watch in silent))
        # In a moment, unless another holder takes what it tells of. An error is the look's own answer, too.
        silent = [
            watch for watch, length in zip(silent, lengths) if isinstance(length, int) and watch.came(length)
        ]
        late = late or bool(silent)
        silent = [watch for watch in silent if watch.silent(ANSWER)]
    return late


def caught_up(store: Store) -> None:
    """Return when every watch of this process tells of what is in the store by now."""
    # Aside: an error of what the program has cast is the program's to see.
    catch_up(store.aside, (*_watches, *_others))


def _after_fork_in_child() -> None:
    for watch in _watches:
        watch.inherited = True
    _watches.clear()
    _others.clear()


forked.in_child(_after_fork_in_child)
