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

A connection that is lost is made anew, and what was not answered is sent again and applied once
(`line`): the program sees a pause. A store that is away for longer than `patience` is gone for good.

It does not know what keys and values mean.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, Callable, cast

from transparent_mp.errors import StoreError
from transparent_mp.originals import original
from transparent_mp.store import loading, popping
from transparent_mp.store.admission import Admission
from transparent_mp.store.alarm import Alarm
from transparent_mp.store.busy import Exchange, unless_taken
from transparent_mp.store.casts import Cast, Casts
from transparent_mp.store.dialling import Dialler
from transparent_mp.store.lending import PopLines
from transparent_mp.store.line import Line, OnReply
from transparent_mp.store.link import Command, Link, Reply
from transparent_mp.store.pops import Looks, PopLine

# The kernel's: on a worker a process has another.
_getpid = original("os", "getpid")

#: Unread replies after which a cast looks for them. Smaller: more reads; larger: errors surface later.
OWED_READ = 64
#: Unread replies at which a cast waits for them: bounds what the store must buffer for us.
OWED_MAX = 1024
#: The same in bytes of what was sent, which is kept until it is answered.
KEPT_READ, KEPT_MAX = 1024 * 1024, 32 * 1024 * 1024


class Store:
    """All links of one process to one store. Thread-safe."""

    def __init__(
        self,
        connect: Callable[[], Link],
        prepare: Sequence[Command] = (),
        patience: float = 0.0,
        *,
        prepared: bool = False,
    ) -> None:
        """`prepare`: commands sent first on a new shared link (scripts to load).

        `prepared`: they were sent by another process, and are sent again only where a link was lost.
        `patience`: seconds that a store which is away is waited for; 0: one attempt.
        """
        self._connect = connect
        self.patience = patience
        self._dialler = Dialler(connect, prepare, patience, prepared)
        self._line: Line | None = None
        self._pops = PopLines(self._dialler.dial)
        self._alarm = Alarm()
        self.reset()

    def reset(self) -> None:
        """Forget every link without a word on it: for the child of a fork, whose parent owns them."""
        self._pid = _getpid()
        # What is closed is the child's own descriptor, and nothing is sent.
        if self._line is not None:
            self._line.drop()
        self._pops.drop()
        self._line, self._pops = None, PopLines(self._dialler.dial)
        self._alarm.close()
        self._lock = lock = threading.RLock()
        # Whether this thread is in the middle: a finaliser or handler of it gets a link aside. Asked of the
        # lock, as a mark of our own would stay behind a handler that raises just before it is removed.
        self.amid: Callable[[], bool] = cast(Any, lock)._is_owned
        self._later = Casts()
        self._closed = False
        self._dialler.reset()
        self.ending = self._dialler.ending
        #: Round trips waited for by this process: what the budget's tests count.
        self.waits = 0
        self._exchange = Exchange(self.ending)

    def admit(self, admission: Admission) -> None:
        """From here on every line is one of a session."""
        with self._lock, self._exchange:
            self._settle()
            self._dialler.admission = admission
            if self._line is not None:
                self._dialler.readmit(self._line)

    def inherit(self, admission: Admission) -> None:
        """In the child of a fork whose parent has made this, and not used it: as `admit`."""
        self._pid, self._dialler.admission = _getpid(), admission

    def cast(self, *commands: Command, on_reply: OnReply = None, given: list[bool] | None = None) -> None:
        """Send and go on. `on_reply` is given the last command's reply when it is read.

        `given`: is filled when they are sure to be sent, whatever a signal's handler raises.
        """
        cast: Cast = [(commands, on_reply)]
        try:
            if given is not None:
                given.append(True)
            if self.amid():
                cast.clear()
                replies = self.aside(*commands)
                if on_reply is not None:
                    on_reply(replies[-1])
                return
            if self._pid != _getpid():
                self.reset()
            self._later.append(cast)
            with self._lock, self._exchange:
                try:
                    line = self._turn()
                except StoreError:
                    # With the lock held, so that no other thread sends it all the same.
                    cast.clear()
                    raise
                if len(line.kept) >= OWED_READ or line.kept_bytes >= KEPT_READ:
                    line.take_ready()
                    while len(line.kept) > OWED_MAX or line.kept_bytes > KEPT_MAX:
                        line.take(1)
                if line.failed:
                    self._raise_failed()
        except StoreError:
            raise
        except BaseException:
            self._later.ensure(cast)
            with contextlib.suppress(StoreError):
                # Whoever waits for it is not to wait until this process needs the store again.
                self._flush()
                self.mend()
            raise
        if self._later:
            self._flush()

    def soon(self, *commands: Command) -> None:
        """`cast` that takes no lock it might wait for and raises nothing."""
        # In the child of a fork a finaliser may run before `reset`, and what ends there is the parent's.
        if not self._closed and self._pid == _getpid():
            self._later.append([(commands, None)])
            self._flush()

    def call(self, *commands: Command) -> list[Reply]:
        """Send in one write, wait, and return the replies. Raises StoreReplyError for an error among them."""
        replies = self.aside(*commands) if self.amid() else self._call(commands)
        if self._later:
            self._flush()
        return popping.unless_refused(replies)

    def _call(self, commands: Sequence[Command], patience: float | None = None) -> list[Reply]:
        replies: list[Reply] = []
        self._exchanged(commands, replies.append, lambda: len(replies) < len(commands), patience)
        return replies

    def _exchanged(
        self,
        commands: Sequence[Command],
        on_reply: OnReply,
        lacks: Callable[[], bool],
        patience: float | None = None,
    ) -> None:
        if self._pid != _getpid():
            self.reset()
        with self._lock, self._exchange:
            line = self._turn()
            line.put(commands, on_reply, on_reply)
            self.waits += 1
            if patience is not None:
                line.insist(patience)
            while lacks():
                line.take(1)
            self._raise_failed()

    def aside(self, *commands: Command) -> list[Reply]:
        """An exchange on another line than the shared one: in the middle of one there, or because it raises
        no error of casts. Errors are among the replies.
        """
        line = self.watch()
        replies: list[Reply] = []
        try:
            line.put(commands, replies.append, replies.append)
            self.waits += 1
            line.take(len(line.kept))
        except BaseException:
            line.close()
            raise
        self.unwatch(line)
        return replies

    def ask(self, *command: object) -> Reply:
        """`call` for a single command."""
        return self.call(command)[0]  # type: ignore[arg-type]

    def insist(self, command: Command, patience: float) -> Reply:
        """`ask` for what must not wait on a connection that has silently died: see `Line.insist`."""
        return popping.unless_refused(self._call((command,), patience))[0]

    def load(self, wanted: Sequence[loading.Wanted]) -> Iterator[bool]:
        """See loading.loaded; False also for a lost connection: ask() tells."""
        return loading.loaded(self, wanted)

    def settle(self) -> None:
        """Wait until the store has answered everything cast so far."""
        if self.amid() or (self._line is None and not self._later):
            return
        with self._lock, self._exchange:
            self._settle()
            self._raise_failed()

    def look(self) -> None:
        """Read the answers that are there, without waiting."""
        if self._line is not None and self._line.kept:
            self.mend()

    def pop(
        self,
        key: str,
        timeout: float | None = None,
        then: Sequence[Command] = (),
        looks: Looks = None,
        found: list[Reply] | None = None,
    ) -> list[Reply] | None:
        """Take the first element of the list, waiting up to `timeout` seconds (None: for ever).

        Returns [element, *replies of `then`], or None when it is over. `looks`: see `pops.Looks`. `found`: a
        list that has the replies from the moment on in which they are taken; what a signal's handler raises
        then leaves it to the caller to give the element back.
        """
        return popping.pop(self, key, timeout, then, looks, found)

    def take(self, key: str, then: Sequence[Command], found: list[Reply]) -> list[Reply]:
        """As pop() of an element that is there, in the order of the casts: [element or None, *replies]."""
        if self.amid():
            found += self.aside(("LPOP", key), *then)
        else:
            taking = popping.Taking(self, key, 1 + len(then), found)
            try:
                self._exchanged((("LPOP", key), *then), taking.collect, taking.lacks)
            except StoreError:
                raise
            except BaseException:
                # What has come is the caller's; what is still to come, nobody's.
                taking.given_up = not found
                self.settle()
                raise
        if self._later:
            self._flush()
        return popping.unless_refused(found)

    def restore(self, key: str, replies: Sequence[Reply]) -> None:
        """Put the element back with which those replies to a pop begin."""
        if replies and isinstance(replies[0], bytes):
            self.soon(("LPUSH", key, replies[0]))

    def finish(self, line: PopLine, timeout: float | None, looks: Looks = None) -> None:
        """Return when the pop that is outstanding has its answers, by ending it after `timeout`."""
        popping.finish(self, line, timeout, looks)

    def wait(self, line: PopLine, timeout: float | None, *, alone: bool = False) -> bool:
        """`line.wait`, and meanwhile see to the shared line: a cast that is lost with it has nobody else.

        `alone`: no other thread may wait on the line.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (link := line.link) is not None and link.usable and not link.buffered():
            # Who waits in the middle of an exchange cannot see to it.
            shared = None if self.amid() or self._line is line else self._line
            other = shared.link if shared is not None else None
            if other is not None and not other.usable:
                other = None
            poll, fd = line.poll(other, alone), link.fileno()
            left = None if deadline is None else deadline - time.monotonic()
            happened = link.spin.wait(poll, left)
            self.ending.park()
            if not happened or fd in dict(happened):
                return bool(happened)
            self.mend()
        return True

    def mend(self) -> None:
        """See to the shared line, whose connection has ended; not in the middle of an exchange on it."""
        if self.amid():
            return
        with self._lock, self._exchange:
            if self._line is not None and not self._closed:
                self._line.take_ready()

    def alarm(self) -> int:
        """An fd that is readable when the shared line's connection has ended; -1: there is none here."""
        return self._alarm.fileno(self._line)

    def watch(self) -> PopLine:
        """A line for the caller alone, on whose fd it may wait."""
        # In a child that uses the links before anybody has called `reset`, as in cast() and call(): one
        # command on the parent's would shift its answers by one.
        if self._pid != _getpid():
            self.reset()
        return self._pops.lend(self._check)

    def hold(self, held: Callable[[int], None]) -> None:
        """Tell `held` the descriptor of each link that is made from now on, before it is used."""
        self._dialler.held = held

    def unwatch(self, line: PopLine) -> None:
        """Take a line back on which nothing is outstanding."""
        self._pops.take_back(line)

    def retire(self, line: PopLine) -> None:
        """End a line that the caller had for itself, whatever is outstanding on it."""
        if line.pid != _getpid():
            line.drop()
            return
        line.close()
        admission = self._dialler.admission
        if admission is not None and line.key:
            self.soon(*admission.retirement(line))

    def lose(self, error: StoreError) -> None:
        """The session is over, and only we have noticed: tell whoever waits, and everyone after."""
        self._dialler.lose(error)

    @property
    def closed(self) -> bool:
        """Whether this process has left its session."""
        return self._closed

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._line is not None:
                self._line.close()
                self._line = None
            self._pops.close()
            self._alarm.close()

    def _flush(self) -> None:
        # Whoever holds the lock looks again after letting go of it, so nothing stays behind.
        while self._later and unless_taken(self._lock, self._send_later):
            pass

    def _send_later(self) -> bool:
        try:
            with self._exchange:
                self._turn()
        except StoreError:
            # A finaliser has nobody to tell; the next command meets the same trouble.
            return False
        return True

    def _turn(self) -> Line:
        """The shared line, on which what finalisers wanted to send has gone ahead."""
        line = self._line
        if line is None or self._dialler.gone is not None:
            self._check()
            line = self._line = self._line or Line(self._dial_shared)
        self._later.put(line)
        return line

    def _dial_shared(self, line: Line) -> None:
        self._check()
        self._alarm.leave(line)
        self._dialler.dial(line, shared=True)
        self._alarm.follow(line)

    def _check(self) -> None:
        if self._closed:
            self.ending.meet()
            raise StoreError("this process has left its session; nothing can be sent any more")
        self._dialler.check()

    def _settle(self) -> None:
        if self._line is not None:
            self._line.take(0)
            while self._line.kept:
                self._line.take(1)

    def _raise_failed(self) -> None:
        if self._line is not None and self._line.failed:
            error = self._line.failed.popleft()
            self._line.failed.clear()
            raise error
