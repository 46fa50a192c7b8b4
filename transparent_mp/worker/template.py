"""A template: a child that has made ready what processes have in common, and is forked for each of them.

    PREPARING   it imports the program's modules and restores `__main__`, as a process does  -> READY, GONE
    READY       waits for orders to fork                                                     -> GONE
    GONE        was not fit, was told to go, or does not answer

For the program each process is what a child that plain Python forks is: a copy of one that has run the code
of its modules once. What is in it beside memory would not be each process's own, so a template is not fit
that used the store (what it had found would be its own), wrote something, started a thread or process, or has
opened a file or memory that is shared. Then, as without a template, each process makes itself ready.

What it forks are its supervisor's children (`siblings`), with memory shared with that which the supervisor
had made before it forked the template. An order has the descriptors of one, and what of that memory it is
given; the answer is its number.
"""

from __future__ import annotations

import enum
import fcntl
import functools
import gc
import os
import select
import signal
import socket
import sys
import termios
from typing import Any, Callable, NoReturn

from transparent_mp.config import Config
from transparent_mp.errors import StoreError
from transparent_mp.originals import original
from transparent_mp.primitives import forked as forks
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.held import Held
from transparent_mp.primitives.untold import Untold
from transparent_mp.ship.frames import decode
from transparent_mp.store.link import Link
from transparent_mp.store.session import Session, stand_by
from transparent_mp.store.telling import Telling
from transparent_mp.worker import child, handlers, orders, siblings
from transparent_mp.worker.pages import Pages
from transparent_mp.worker.running import Running, Shared
from transparent_mp.worker.shelf import Shelf

#: Processes that may have been forked from it at once; further ones are forked as if there were none.
SLOTS = 16
#: Seconds in which it forks one: a moment, unless something has stopped it. Longer: nothing else is seen to.
PATIENCE = 5.0

_READY = b"ready"
#: Exit code of one that is not fit, or whose supervisor has no use for it any more.
UNFIT = 1
_NUMBER = 32
_OURS = __name__.partition(".")[0] + "."
_stat, _listdir, _open, _close = (original("os", name) for name in ("stat", "listdir", "open", "close"))


class State(enum.Enum):
    """Life of a template, as its supervisor sees it."""

    PREPARING = "preparing"
    READY = "ready"
    GONE = "gone"


_MOVES = {
    State.PREPARING: {State.READY, State.GONE},
    State.READY: {State.GONE},
    State.GONE: set(),
}


class Template:
    """One, as its supervisor has it. Made before the fork; each side then takes its own end."""

    def __init__(self, like: str, common: bytes = b"", telling: Telling | None = None) -> None:
        """`common`: what its processes have in common; `telling`: on which they tell of their ends."""
        self.like, self.common = like, common
        self.telling = telling
        self.state = State.PREPARING
        self.child = 0
        self._slots: list[Shared] = [(Untold(), Held()) for _ in range(SLOTS)]
        self._free = list(range(SLOTS))
        self._here, self._there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    @classmethod
    def none(cls, like: str) -> Template:
        """One that is gone: there can be none of such processes."""
        template = cls(like)
        template._there.close()
        template.close()
        return template

    def supervisor_side(self, child: int) -> None:
        self.child = child
        self._there.close()

    def child_side(self) -> tuple[socket.socket, list[Shared]]:
        self._here.close()
        return self._there, self._slots

    def ready(self) -> bool:
        """Whether it forks; asks nothing of it."""
        if self.state is State.PREPARING and select.select([self._here], [], [], 0)[0]:
            if self._answer(0) == _READY:
                self._move(State.READY)
            else:
                self.close()
        return self.state is State.READY

    def fork(self) -> Running | None:
        """A copy of it, waiting for its frame; None if there can be none now."""
        running = self.order(wanted=True)
        return running if running is not None and self.arrived(running) else None

    def order(self, *, wanted: bool = False) -> Running | None:
        """A copy, for `arrived` to tell of before another is ordered; None if there can be none now.

        `wanted`: its frame is there, so it does nothing ahead.
        """
        if not self._free:
            return None
        slot = self._free.pop()
        for memory in self._slots[slot]:
            memory.renew()
        running = Running(self._slots[slot], self.like, self.common)
        running.on_close = functools.partial(self._closed, slot)
        try:
            siblings.draw_near(self.child)
            socket.send_fds(self._here, [bytes([slot, wanted])], running.passed_on())
        except OSError:
            self.close()
        running.parent_side(0)
        if self.state is not State.GONE:
            return running
        running.close()
        return None

    def arrived(self, running: Running) -> bool:
        """Whether the copy that was ordered is there, and waits for its frame."""
        try:
            running.child = 0 if self.state is State.GONE else int(self._answer(PATIENCE) or b"0")
        except OSError:
            running.child = 0
        if not running.child:
            running.close()
            self.close()
        return bool(running.child)

    def close(self) -> None:
        """It reads the end of its orders and leaves."""
        if self.state is not State.GONE:
            self._move(State.GONE)
            self._here.close()
            if self.telling is not None:
                self.telling.close()

    def _closed(self, slot: int) -> None:
        self._free.append(slot)
        if self.telling is not None and self.state is not State.GONE:
            self.telling.look()

    def _answer(self, patience: float) -> bytes:
        if not select.select([self._here], [], [], patience)[0]:
            # Stopped: it must not go on later with orders that are not meant any more.
            os.kill(self.child, signal.SIGKILL)
            return b""
        return self._here.recv(_NUMBER)

    def _move(self, to: State) -> None:
        if to not in _MOVES[self.state]:
            raise RuntimeError(f"a template cannot go from {self.state.name} to {to.name}")
        self.state = to


class _Asked:
    """Notes that the store was asked for, by whatever the program's modules do."""

    def __init__(self) -> None:
        self.was = False

    def __call__(self) -> Link:
        self.was = True
        raise StoreError("what is made ready for several processes has no part in the session")


def begin(
    session: Session,
    like: str,
    frame: bytes,
    let_go: Callable[[], None],
    ticket: dict[str, Any],
    shelf: Shelf,
    run_child: Callable[..., NoReturn],
) -> Template:
    """Fork a template of the process of that frame; `let_go` closes in it what is the supervisor's."""
    opened = orders.opened_here(session, *decode(frame))
    if opened is None:
        return Template.none(like)
    template = Template(like, bytes(opened[0]), Telling.begin(ticket["url"]))
    forked = os.fork()
    if forked == 0:
        # Whatever happens, it does not go on as the supervisor that it was.
        try:
            let_go()
            copied = _be(template, ticket, shelf)
            if copied is not None:
                running, parent, prepared = copied
                run_child(running, ticket, shelf, parent, prepared)
        finally:
            os._exit(UNFIT)
    template.supervisor_side(forked)
    return template


def _be(template: Template, ticket: dict[str, Any], shelf: Shelf) -> tuple[Running, int, child.Copied] | None:
    """Be a template; returns in each copy what it is to run, and None in one that is not fit."""
    ordered, slots = template.child_side()
    child.die_with_supervisor()
    child.stand_alone()
    calls, asked, written, pages = siblings.calls(), _Asked(), _swallow_output(), Pages()
    # What ends later would give its descriptor's number to one that stays open.
    gc.collect()
    before = _open_here()
    if calls is None:
        return None
    try:
        roam = functools.partial(siblings.roam, calls)
        prepared = _prepare(ticket, shelf, asked, template, pages, roam)
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            if stream is not None:
                stream.flush()
    except BaseException:  # noqa: BLE001  a process that meets the same says so
        return None
    silent = not int.from_bytes(fcntl.ioctl(written, termios.FIONREAD, bytes(4)), sys.byteorder)
    if asked.was or not silent or not _alone() or _open_here() != before:
        return None
    _close(written)
    prepared.approach(ticket)
    ordered.send(_READY)
    running, stdout, stderr, parent = _serve(ordered, slots, calls, pages)
    for fd, source in ((1, stdout), (2, stderr)):
        os.dup2(source, fd)
        _close(source)
    return running, parent, prepared


def _prepare(
    ticket: dict[str, Any],
    shelf: Shelf,
    asked: _Asked,
    template: Template,
    pages: Pages,
    roam: Callable[[], None],
) -> child.Copied:
    session = stand_by(ticket, Config(lease=ticket["lease"], log=ticket["log"]), asked)
    session.depot, session.shelf = shelf.depot, shelf.content
    sessions.attach(session)
    return child.Copied(session, ticket["worker"], shelf, template.common, template.telling, pages, roam)


def _serve(
    ordered: socket.socket, slots: list[Shared], calls: Any, pages: Pages
) -> tuple[Running, int, int, int]:
    """Fork as it is ordered; returns in each copy."""
    siblings.give_way(calls)
    # It has no part in the session, and is alone.
    forks.leave_out(True)
    left = handlers.leave_out(_is_seen_to)
    while True:
        order, fds, _, _ = socket.recv_fds(ordered, 2, SLOTS)
        if not order:
            os._exit(UNFIT)
        pages.learn()
        forked = siblings.fork(calls)
        if forked == 0:
            if not order[1]:
                pages.make_own()
            forks.leave_out(False)
            left.back()
            ordered.close()
            running, ends = Running.received(fds, slots[order[0]], bool(order[1]))
            return (running, *ends)
        for fd in fds:
            _close(fd)
        ordered.send(str(forked).encode())


def _is_seen_to(module: str) -> bool:
    """Whether what a module does around a fork is of no use where there is one thread, and no lock held."""
    return module in ("logging", "threading") or module.startswith(_OURS)


def _swallow_output() -> int:
    """Have stdout and stderr go nowhere; returns an fd that tells of what is written there."""
    reader, writer = os.pipe()
    for fd in (1, 2):
        os.dup2(writer, fd)
    _close(writer)
    return reader


def _alone() -> bool:
    """Whether there is one thread, and no child."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return len(_listdir("/proc/self/task")) == 1
    return False


def _open_here() -> tuple[set[str], int]:
    """Descriptors, and memory that is shared with others."""
    maps = _open("/proc/self/maps", os.O_RDONLY)
    text = bytearray()
    while piece := os.read(maps, 1 << 16):
        text += piece
    _close(maps)
    shared = sum(line.split(b" ", 2)[1].endswith(b"s") for line in text.splitlines())
    return set(_listdir("/proc/self/fd")), shared
