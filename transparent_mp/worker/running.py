"""A process that runs on this worker, as its supervisor holds it: child, signals, output, parent.

`outputs` maps the fds that the supervisor reads to the child's descriptors 1 and 2. The child's
parent sentinel becomes readable when its parent's end is told (`orphan`) or this worker is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import resource
import select
import signal
import socket
import sys
import termios
import time
from collections.abc import Iterable, Sequence
from typing import Any, Callable

from transparent_mp.errors import UntrustedPayloadError
from transparent_mp.originals import original
from transparent_mp.primitives.held import Held, leave
from transparent_mp.primitives.lifetime import NEAR
from transparent_mp.primitives.taking import last_words
from transparent_mp.primitives.untold import Untold
from transparent_mp.store.link import handlers_errors_only
from transparent_mp.store.session import Session
from transparent_mp.store.telling import Telling

log = logging.getLogger("transparent_mp")

#: Memory that a child has with its supervisor.
Shared = tuple[Untold, Held]

#: Seconds children have between being told to end (SIGTERM) and being killed, when the session is
#: over. Long enough to flush, short enough that "within seconds" holds.
GRACE = 1.0
#: One read of a child's output.
READ = 64 * 1024
#: Kilobytes that a process may have had and leave ahead of the kernel. Larger: the next one may want memory
#: that is not free yet; smaller: the end of more processes is seen as late as the kernel is done.
SMALL = 256 * 1024

#: The word of a child that leaves: no module's name and no variable.
_LEFT = "."
#: A directory with one for each thread; the links that it has when there is one thread.
_THREADS, _ALONE = "/proc/self/task", 3
# A process of the program finds the client's files by these names.
_stat, _fstat, _listdir, _close = (original("os", name) for name in ("stat", "fstat", "listdir", "close"))


class Running:
    """One forked child. Made before the fork; each side then takes its own ends.

    Which process it is comes later: the supervisor gives the frame that the child receives.
    """

    #: In the child of a template: whether its frame is about to come.
    wanted = False

    def __init__(self, shared: Shared | None = None, like: str = "", common: bytes = b"") -> None:
        """`shared`: memory that is there for it; `like`: what it was made ready for, see `template`, and
        `common`, what that is.
        """
        self.pid = 0
        self.child = 0
        #: Signals it was sent on behalf of others.
        self.signalled: list[int] = []
        #: Set when it is killed at its worker's limit.
        self.outlived = False
        self._warned = False
        self._words: list[str] = []
        self.like, self.common = like, common
        self._heard = False
        self._shared = shared
        #: Called when the memory is free.
        self.on_close: Callable[[], None] | None = None
        #: What the child has not told, and the locks that it has acquired.
        self.untold, self.held = shared or (Untold(), Held())
        self._frame_reader, self._frame_writer = os.pipe()
        self._words_reader, self._words_writer = os.pipe()
        out, err, parent = os.pipe(), os.pipe(), os.pipe()
        self.outputs = {out[0]: 1, err[0]: 2}
        self._writers = (out[1], err[1])
        self._parent_reader, self._parent_writer = parent
        # Copies of its links lie in there until its end: nobody has to take them out before, and what the
        # kernel does not take (it limits what is under way) is not held.
        self._links_here, self._links_there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._links_here.setblocking(False)
        self._links_there.setblocking(False)

    def child_side(self) -> tuple[int, int, int]:
        """In the child: the fds for its stdout and stderr, and its parent sentinel."""
        for fd in (*self.outputs, self._parent_writer, self._frame_writer, self._words_reader):
            os.close(fd)
        self._links_here.close()
        return self._own_side()

    def passed_on(self) -> list[int]:
        """In the supervisor, whose child forks this one: the fds that `received` is given."""
        return [*self._child_fds(), self._links_there.fileno()]

    @classmethod
    def received(
        cls, fds: Sequence[int], shared: Shared, wanted: bool
    ) -> tuple[Running, tuple[int, int, int]]:
        """In a child that was forked by another one: it, and what `child_side` returns; see `wanted`."""
        self = cls.__new__(cls)
        self.wanted = wanted
        self.untold, self.held = shared
        out, err, self._parent_reader, self._frame_reader, self._words_writer = fds[:5]
        self._writers = out, err
        self._links_there = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM, 0, fds[5])
        # The program's time-out for sockets is not for this one.
        self._links_there.setblocking(False)
        return self, self._own_side()

    def _child_fds(self) -> tuple[int, ...]:
        return (*self._writers, self._parent_reader, self._frame_reader, self._words_writer)

    def _own_side(self) -> tuple[int, int, int]:
        self._out_pipes = [_fstat(fd) for fd in self._writers]
        self._words_pipe = _fstat(self._words_writer)
        self._links_pipe = _fstat(self._links_there.fileno())
        return (*self._writers, self._parent_reader)

    def parent_side(self, child: int) -> None:
        """In the supervisor."""
        self.child = child
        for fd in self._child_fds():
            os.close(fd)
        self._links_there.close()
        for fd in (*self.outputs, self._words_reader):
            os.set_blocking(fd, False)

    def give(self, pid: int, frame: bytes) -> None:
        """In the supervisor: the child is to run this process."""
        self.pid = pid
        # A child that is gone is about to be reaped, with its exit code.
        with contextlib.suppress(BrokenPipeError), open(self._frame_writer, "wb") as file:
            file.write(frame)
        self._frame_writer = -1

    def receive(self) -> bytes:
        """In the child: wait for its frame; b'' when there will be none."""
        found = bytearray()
        while piece := os.read(self._frame_reader, READ):
            found += piece
        _close(self._frame_reader)
        return bytes(found)

    def say(self, words: list[str]) -> None:
        """In the child: leave a word for the supervisor; what it cannot take at once is lost."""
        if not words:
            return
        # The program may have closed the descriptor, and may have a file of its own there.
        with handlers_errors_only():
            if not os.path.samestat(_fstat(self._words_writer), self._words_pipe):
                return
            os.set_blocking(self._words_writer, False)
            os.write(self._words_writer, "".join(f"{word} " for word in words).encode())

    def leave(self, report: tuple[Telling, bytes] | None = None) -> bool:
        """In the child, which exits with 0 next: have its end seen before the kernel has taken its memory.

        Whoever sees it finds that nothing is open any more. Not if other threads may still do something, or
        if there is much memory, which the next process may want. `report`: what is told of its end, and on
        what, where nothing is to be told before that. Returns whether it was.
        """
        words = self._words_writer
        stay = {1, 2, words}
        try:
            if not os.path.samestat(_fstat(words), self._words_pipe) or _stat(_THREADS).st_nlink != _ALONE:
                return False
            if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > SMALL:
                return False
            if report is not None and self._silent():
                stay.add(report[0].fileno())
            else:
                report = None
            fds = set(map(int, _listdir("/proc/self/fd"))).difference(stay)
        except OSError:
            # Its end is seen when it has ended.
            return False
        for fd in fds:
            # The one by which they were listed is no more.
            with contextlib.suppress(OSError):
                _close(fd)
        with contextlib.suppress(OSError):
            os.write(words, f"{_LEFT} ".encode())
        if report is not None:
            report[0].tell(report[1])
        for fd in (1, 2):
            with contextlib.suppress(OSError):
                _close(fd)
        return True

    def _silent(self) -> bool:
        """In the child: whether nothing is to be told of it before its end."""
        if not (self.untold.empty and self.held.empty):
            return False
        for fd, pipe in zip((1, 2), self._out_pipes):
            if not os.path.samestat(_fstat(fd), pipe) or self.waiting(fd):
                return False
        # What the supervisor has read before that, it has first said that it reads.
        return not self.untold.listened

    def has_left(self) -> bool:
        """In the supervisor, when there is no more output: whether it is about to exit with 0."""
        self._words += self._read_words()
        return _LEFT in self._words

    def hold(self, fd: int) -> None:
        """In the child: have a connection kept beyond its death, so that what it sent arrives."""
        there = self._links_there
        with handlers_errors_only():
            if os.path.samestat(_fstat(there.fileno()), self._links_pipe):
                socket.send_fds(there, [b"link"], [fd])

    def links(self) -> list[socket.socket]:
        """In the supervisor: the connections of a child that has ended, which the caller closes."""
        found: list[socket.socket] = []
        # Until nothing is there, or no descriptor is free.
        with contextlib.suppress(OSError):
            while (received := socket.recv_fds(self._links_here, 16, 1))[0]:
                found += [socket.socket(fileno=fd) for fd in received[1]]
        return found

    def said(self) -> list[str]:
        """In the supervisor: what the child has said."""
        return [word for word in (*self._words, *self._read_words()) if word != _LEFT]

    def _read_words(self) -> list[str]:
        return (self.read(self._words_reader) or b"").decode().split()

    def read(self, fd: int) -> bytes | None:
        """Output that is there; b'' at its end, None when there is none yet."""
        if not self._heard and fd in self.outputs:
            # First: the child may look whether something is there just behind the read.
            self._heard = True
            self.untold.listen()
        try:
            return os.read(fd, READ)
        except BlockingIOError:
            return None

    def waiting(self, fd: int) -> int:
        """How many bytes of output are there."""
        return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)

    def signal(self, number: int) -> None:
        # It may have ended a moment ago, and its end not been seen yet.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.child, number)

    def relay(self, number: int) -> None:
        """Signal it on behalf of another process."""
        self.signal(number)
        self.signalled.append(number)

    def warn(self) -> None:
        """Its worker's limit is near."""
        if not self._warned:
            self._warned = True
            self.signal(NEAR)

    def orphan(self) -> None:
        """Its parent has ended."""
        if self._parent_writer >= 0:
            os.close(self._parent_writer)
            self._parent_writer = -1

    def close_output(self, fd: int) -> None:
        del self.outputs[fd]
        os.close(fd)

    def close(self) -> None:
        for fd in list(self.outputs):
            self.close_output(fd)
        for fd in (self._frame_writer, self._words_reader):
            if fd >= 0:
                os.close(fd)
        self._frame_writer = self._words_reader = -1
        self._links_here.close()
        if self._shared is None:
            self.untold.close()
            self.held.close()
        elif self.on_close is not None:
            self.on_close()
            self.on_close = None
        self.orphan()


class Once:
    """What a worker has begun: an order that is put into its list again does not run a process again."""

    def __init__(self) -> None:
        self._begun: set[str] = set()

    def check(self, head: dict[str, Any]) -> None:
        """A process is to begin. Raises UntrustedPayloadError when it has before, ValueError for none."""
        uid = head["uid"]
        if not (isinstance(uid, str) and isinstance(head["pid"], int) and isinstance(head["name"], str)):
            raise ValueError("it describes no process")
        if uid in self._begun:
            raise UntrustedPayloadError(
                f"the process {uid} came a second time: something else writes to this Redis under our keys"
            )
        self._begun.add(uid)


def wind_up(session: Session, running: Running, code: int, worker: str) -> list[str]:
    """Let go of a child that has ended, and tell what it had done and not told; returns what it has said."""
    said = running.said()
    left = leave(session, running.held, running.pid, code, worker)
    if left:
        session.store.cast(*left)
    try:
        commands = last_words(session, running.untold)
    except (ValueError, TypeError) as error:
        # Memory of its own that the program has overwritten.
        log.warning("what process %d has left is not used: %s", running.pid, error)
    else:
        if commands:
            session.store.cast(*commands)
    running.close()
    return said


def reap() -> dict[int, int]:
    """The children that have ended, with their exit codes."""
    ended: dict[int, int] = {}
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if child == 0:
            return ended
        ended[child] = os.waitstatus_to_exitcode(status)


def end_all(processes: Iterable[Running], first: int, woken: int) -> None:
    """End them by that signal, by SIGKILL those that stay; `woken` is readable when a child has ended."""
    left = {running.child: running for running in processes}
    for running in left.values():
        running.signal(first)
    deadline = time.monotonic() + GRACE
    while left:
        try:
            child, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if child:
            left.pop(child, None)
        elif time.monotonic() > deadline:
            for running in left.values():
                running.signal(signal.SIGKILL)
            deadline = time.monotonic() + GRACE
        else:
            select.select([woken], [], [], GRACE)
            drain(woken)


def drain(woken: int) -> None:
    """Take what has made it readable."""
    with contextlib.suppress(BlockingIOError):
        os.read(woken, 1024)
