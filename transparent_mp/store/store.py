"""The store as a process sees it: one shared link for what does not block, borrowed ones for pops.

    cast    a command whose answer nobody waits for; its reply is read with a later command
    call    commands in one write, waited for
    soon    a cast from a finaliser, which may run anywhere, even inside another command
    pop     a blocking pop, on a link of its own; commands behind it run after it was served
    watch   a link whose fd becomes readable when a list has an element, which stays in the list

Everything that does not block goes through the shared link, so a process's commands reach the
store in program order, whichever thread gave them; pops may wait on other links because what they
wait for comes whenever it comes. An error that answers a cast is raised by the next call or cast.

A wait that is given up (time-out, KeyboardInterrupt) is ended by CLIENT UNBLOCK; if the pop was
served in that moment, its element is taken (time-out) or put back (exception).

It does not know what keys and values mean.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Callable, Optional

from transparent_mp.errors import SessionLostError, StoreError, StoreReplyError
from transparent_mp.store.link import Command, Link, Reply

_ident = threading.get_ident

OnReply = Optional[Callable[[Reply], None]]

#: Unread replies after which a cast looks for them. Smaller: a read for nearly every write;
#: larger: errors surface later, and the socket's buffer holds more.
OWED_READ = 64
#: Unread replies at which a cast waits for them: bounds what the store must buffer for us.
OWED_MAX = 1024


#: Why a link was not admitted, by the answer of lua/admit.lua.
_REFUSALS = {
    0: "the session is over: its client has ended or lost its lease, or the store has lost its keys",
    -1: "this process was taken for dead, since its worker did not renew its lease in time, and may do "
    "nothing more; TRANSPARENT_MP_LEASE is how long that takes",
}


class _Exchange:
    """Marks the thread that is in the middle of an exchange. Entered with the store's lock held."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> None:
        self._store._busy = _ident()

    def __exit__(self, *_exc: object) -> None:
        self._store._busy = 0


class Store:
    """All links of one process to one store. Thread-safe."""

    def __init__(self, connect: Callable[[], Link], prepare: Sequence[Command] = ()) -> None:
        """`prepare`: commands sent first on a new shared link (scripts to load)."""
        self._connect = connect
        self._prepare = tuple(prepare)
        #: The command by which the session admits a new link (`session`); None: it need not.
        self.admission: Callable[[Link], Command] | None = None
        self._link: Link | None = None
        self._idle: list[Link] = []
        self.reset()

    def reset(self) -> None:
        """Forget every link without a word on it: for the child of a fork, whose parent owns them."""
        # What is closed is the child's own descriptor, and nothing is sent.
        for link in (self._link, *self._idle):
            if link is not None:
                link.close()
        self._link, self._idle = None, []
        self._lock = threading.RLock()
        # The thread that is in the middle of an exchange on the shared link. A finaliser or signal handler
        # that runs in it just then, and uses the store, gets a link aside.
        self._busy = 0
        self._owed: deque[OnReply] = deque()
        self._failed: deque[StoreReplyError] = deque()
        self._later: deque[Sequence[Command]] = deque()
        self._closed = False
        #: Round trips waited for by this process: what the budget's tests count.
        self.waits = 0
        self._exchange = _Exchange(self)

    def cast(self, *commands: Command, on_reply: OnReply = None) -> None:
        """Send and go on. `on_reply` is given the last command's reply when it is read."""
        if self._busy == _ident():
            replies = self._aside(commands)
            if on_reply is not None:
                on_reply(replies[-1])
            return
        with self._lock, self._exchange:
            link = self._turn()
            owed = self._owed
            owed.extend([None] * (len(commands) - 1))
            owed.append(on_reply)
            self._send(link, commands)
            if len(owed) >= OWED_READ:
                for reply in link.read_ready():
                    self._settle(reply)
                while len(owed) > OWED_MAX:
                    self._settle(self._read(link))
            self._raise_failed()
        if self._later:
            self._flush()

    def soon(self, *commands: Command) -> None:
        """`cast` that takes no lock it might wait for and raises nothing."""
        if not self._closed:
            self._later.append(commands)
            self._flush()

    def call(self, *commands: Command) -> list[Reply]:
        """Send in one write, wait, and return the replies. Raises StoreReplyError for an error among them."""
        replies = self._aside(commands) if self._busy == _ident() else self._call(commands)
        if self._later:
            self._flush()
        for reply in replies:
            if isinstance(reply, StoreReplyError):
                raise reply
        return replies

    def _call(self, commands: Sequence[Command]) -> list[Reply]:
        replies: list[Reply] = []
        with self._lock, self._exchange:
            link = self._turn()
            self._owed.extend([replies.append] * len(commands))
            self._send(link, commands)
            self.waits += 1
            while len(replies) < len(commands):
                self._settle(self._read(link))
            self._raise_failed()
        return replies

    def _aside(self, commands: Sequence[Command]) -> list[Reply]:
        """An exchange while this thread is in the middle of another one."""
        link = self._borrow()
        try:
            link.send(commands)
            self.waits += 1
            replies = [link.read() for _ in commands]
        except BaseException:
            link.close()
            raise
        self._idle.append(link)
        return replies

    def ask(self, *command: object) -> Reply:
        """`call` for a single command."""
        return self.call(command)[0]  # type: ignore[arg-type]

    def settle(self) -> None:
        """Wait until the store has answered everything cast so far."""
        if self._busy == _ident():
            return
        with self._lock, self._exchange:
            if self._link is not None:
                while self._owed:
                    self._settle(self._read(self._link))
            self._raise_failed()

    def look(self) -> None:
        """Read the answers that are there, without waiting."""
        if self._busy == _ident():
            return
        with self._lock, self._exchange:
            if self._owed and self._link is not None:
                for reply in self._link.read_ready():
                    self._settle(reply)

    def pop(self, key: str, timeout: float | None = None, then: Sequence[Command] = ()) -> list[Reply] | None:
        """Take the first element of the list, waiting up to `timeout` seconds (None: for ever).

        Returns [element, *replies of `then`], or None when the time is over.
        """
        link = self._borrow()
        sent = False
        try:
            link.send((("BLPOP", key, 0), *then))
            sent = True
            self.waits += 1
            if not link.wait(timeout):
                self._unblock(link)
            link.gather(1 + len(then))
            replies = list(link.arrived)
        except StoreError:
            link.close()
            raise
        except BaseException:
            if sent and link.usable:
                self._give_back(link, key, 1 + len(then))
            else:
                link.close()
            raise
        link.arrived.clear()
        self._idle.append(link)
        for reply in replies:
            if isinstance(reply, StoreReplyError):
                raise reply
        if replies[0] is None:
            return None
        replies[0] = replies[0][1]
        return replies

    def watch(self) -> Link:
        """A link for the caller alone, on which it may wait with an fd."""
        return self._borrow()

    def unwatch(self, link: Link, pending: int, arrived: int = 0) -> list[Reply]:
        """Take a watching link back: ends its wait and returns its `pending` or `arrived` replies."""
        if pending:
            self._unblock(link)
        replies = [link.read() for _ in range(pending or arrived)]
        self._idle.append(link)
        return replies

    @property
    def closed(self) -> bool:
        """Whether this process has left its session."""
        return self._closed

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._link is not None:
                self._link.close()
                self._link = None
            self._owed.clear()
            while self._idle:
                self._idle.pop().close()

    def _flush(self) -> None:
        # Whoever holds the lock looks again after letting go of it, so nothing stays behind.
        while self._later and self._busy != _ident() and self._lock.acquire(blocking=False):
            try:
                self._busy = _ident()
                self._turn()
            except StoreError:
                # A finaliser has nobody to tell; the next command meets the same trouble.
                self._later.clear()
            finally:
                self._busy = 0
                self._lock.release()

    def _turn(self) -> Link:
        """The shared link, on which what finalisers wanted to send has gone ahead."""
        link = self._shared()
        while self._later:
            commands = self._later.popleft()
            self._owed.extend([None] * len(commands))
            self._send(link, commands)
        return link

    def _shared(self) -> Link:
        if self._closed:
            raise StoreError("this process has left its session; nothing can be sent any more")
        link = self._link
        if link is None or not link.usable:
            if link is not None:
                link.close()
            self._owed.clear()
            link = self._link = self._opened()
            if self._prepare:
                self._owed.extend([None] * len(self._prepare))
                self._send(link, self._prepare)
        return link

    def _send(self, link: Link, commands: Sequence[Command]) -> None:
        try:
            link.send(commands)
        except StoreError:
            self._drop()
            raise

    def _read(self, link: Link) -> Reply:
        try:
            return link.read()
        except StoreError:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None
        self._owed.clear()

    def _settle(self, reply: Reply) -> None:
        on_reply = self._owed.popleft()
        if on_reply is not None:
            on_reply(reply)
        elif isinstance(reply, StoreReplyError):
            self._failed.append(reply)

    def _raise_failed(self) -> None:
        if self._failed:
            error = self._failed.popleft()
            self._failed.clear()
            raise error

    def _borrow(self) -> Link:
        while self._idle:
            try:
                link = self._idle.pop()
            except IndexError:
                break
            if link.usable:
                return link
            link.close()
        return self._opened()

    def _opened(self) -> Link:
        """A new link, once the session has admitted it."""
        link = self._connect()
        if self.admission is not None:
            try:
                link.send([self.admission(link)])
                refusal = _REFUSALS.get(link.read())
                if refusal:
                    raise SessionLostError(refusal)
            except BaseException:
                link.close()
                raise
        return link

    def _unblock(self, link: Link) -> None:
        self.ask("CLIENT", "UNBLOCK", link.number)

    def _give_back(self, link: Link, key: str, count: int) -> None:
        if len(link.arrived) < count:
            self._unblock(link)
            link.gather(count)
        first = link.arrived[0]
        link.arrived.clear()
        if isinstance(first, list):
            self.cast(("LPUSH", key, first[1]))
        self._idle.append(link)
