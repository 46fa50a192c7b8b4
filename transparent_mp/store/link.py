"""One connection to the store: commands written and replies read directly on its socket.

redis-py makes, secures and authenticates the connection (`connect`); after that nothing stands
between a primitive and the socket, since the pooled client costs three times the round trip.

A link is not thread-safe and knows nothing of what its replies mean: whoever sends n commands
reads n replies, in order. It does not reconnect.
"""

from __future__ import annotations

import contextlib
import operator
import select
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

import hiredis

from transparent_mp.errors import StoreAwayError, StoreError, StoreReplyError
from transparent_mp.store.commands import Arg as Arg
from transparent_mp.store.commands import Command as Command
from transparent_mp.store.commands import Packed, Ready, joined, packed
from transparent_mp.store.spin import Spin

Reply = Any

#: First and largest size of one read. The first fits most replies without allocating much; more than the
#: largest is room that the kernel gives anew for each read, page by page, however little comes.
READ_SMALL, READ_LARGE = 16 * 1024, 64 * 1024

_READY = frozenset((Ready,))
_PACKED = operator.attrgetter("packed")


class Link:
    """A connected socket that speaks RESP2. `address` is for messages and holds no secret."""

    __slots__ = (
        *("_poll", "_read_size", "_reader", "_sock"),
        *("address", "arrived", "name", "number", "spin", "usable"),
    )

    def __init__(self, sock: socket.socket, address: str) -> None:
        self._sock = sock
        self.address = address
        self._reader = hiredis.Reader(replyError=StoreReplyError, notEnoughData=_MORE)
        self._read_size = READ_SMALL
        self._poll: select.poll | None = None
        #: For whoever waits on the link, with a poll of its own or by wait() and gather().
        self.spin = Spin()
        #: Whether it may be written to and read. Not while bytes are between the socket and the reader: an
        #: exception that arrives there (a signal handler's) leaves it so.
        self.usable = True
        #: Replies that were read and not taken yet.
        self.arrived: deque[Reply] = deque()
        #: The store's number and name for this connection (CLIENT INFO's id and addr), by which a wait can
        #: be ended, and the connection.
        self.number = 0
        self.name = ""

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, commands: Sequence[Command]) -> None:
        """Write the commands with as few system calls as possible."""
        if _READY.issuperset(map(type, commands)):
            # As most pops are; by calls that loop in C.
            self.write(list(map(_PACKED, commands)))
        else:
            self.write([packed(command) for command in commands])

    def write(self, packs: Sequence[Packed]) -> None:
        """Write what packed() made of commands."""
        buffers = packs if len(packs) == 1 and packs[0].__class__ is bytes else joined(packs)
        self.usable = False
        try:
            # Each by itself: a system call more is nothing beside the bytes of a large one. But the store is
            # not to be woken for the first few of them.
            for buffer in buffers[:-1]:
                if type(self._sock) is socket.socket:
                    self._sock.sendall(buffer, _MORE_COMES)
                else:
                    self._sock.sendall(buffer)
            for buffer in buffers[-1:]:
                self._sock.sendall(buffer)
        except OSError as error:
            if from_handler(error):
                raise
            raise self._lost(error) from error
        self.usable = True

    def read(self) -> Reply:
        """Return the next reply, waiting for it. An error reply is returned, not raised."""
        if not self.arrived:
            self.gather(1)
        return self.arrived.popleft()

    def read_large(self, into: memoryview) -> bool:
        """Read the next reply where it shall lie, which it does if it is a string of just that length.

        False: it is another reply, and the next one that read() returns.
        """
        head = b"$%d\r\n" % len(into)
        if self.buffered():
            return False
        got = self._receive(len(head))
        while len(got) < len(head) and head.startswith(got):
            got += self._receive(len(head) - len(got))
        if got != head:
            self._feed(got)
            return False
        # All of it in one call, for each of which the interpreter is let go of and wanted back.
        flags = socket.MSG_WAITALL if type(self._sock) is socket.socket else 0
        self.usable = False
        try:
            at = 0
            while at < len(into):
                count = self._sock.recv_into(into[at:], 0, flags)
                if not count:
                    raise self._lost(None)
                at += count
        except OSError as error:
            if isinstance(error, StoreAwayError) or from_handler(error):
                raise
            raise self._lost(error) from error
        end = self._receive(2)
        while len(end) < 2:
            end += self._receive(1)
        self.usable = True
        return True

    def gather(self, count: int, *, here: bool = False) -> None:
        """Wait until `count` replies have arrived. They stay in `arrived` until they are taken from it.

        `here`: something has been seen to come.
        """
        if self._reader.has_data():
            self._parse()
        while len(self.arrived) < count:
            # What TLS has read already no poll sees.
            sleeps = not here and type(self._sock) is socket.socket and not self.spin.look(self._poller())
            here = False
            self._fill()
            if sleeps:
                self.spin.slept()
            self._parse()

    def _parse(self) -> None:
        try:
            # In one step that no signal handler can divide: what has left the reader has arrived.
            self.arrived.extend(iter(self._reader.gets, _MORE))
        except hiredis.ProtocolError as error:
            raise garbled(self.address, str(error)) from None

    def wait(self, timeout: float | None) -> bool:
        """Whether a reply has begun to arrive within `timeout` seconds (None: for ever).

        Waits in poll, so that a signal handler's exception finds no half-read reply.
        """
        return bool(self.arrived) or self._reader.has_data() or self._readable(timeout)

    def buffered(self) -> bool:
        """Whether something of a reply has been read already."""
        return bool(self.arrived) or self._reader.has_data()

    def _readable(self, timeout: float | None) -> bool:
        poll = self._poll or self._poller()
        return bool(self.spin.wait(poll, timeout) if timeout != 0 else poll.poll(0))

    def _poller(self) -> select.poll:
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._sock, select.POLLIN)
        return self._poll

    def ended(self) -> bool:
        """Whether the other side has closed the connection and nothing of it is left to be read.

        False over TLS, where a look takes what it sees.
        """
        if not self._readable(0) or self._reader.has_data() or type(self._sock) is not socket.socket:
            return False
        try:
            return not self._sock.recv(1, socket.MSG_PEEK)
        except OSError as error:
            if from_handler(error):
                raise
            return True

    def pull(self, timeout: float = 0.0) -> None:
        """Read what is there into `arrived`; while that is empty, wait up to `timeout` seconds for more."""
        if self._reader.has_data():
            self._parse()
        more = True
        while more and self._readable(0.0 if self.arrived else timeout):
            # What did not fill the room was all that there is.
            full = self._fill()
            self._parse()
            more = full or not self.arrived

    def hang_up(self) -> None:
        """End the connection for whoever waits on it, in another thread."""
        with handlers_errors_only():
            self._sock.shutdown(socket.SHUT_RDWR)

    def spoil(self) -> None:
        """End it as hang_up() does, and use it no more; its fd stays open for who waits on that."""
        self.usable = False
        self.hang_up()

    def close(self) -> None:
        """End the connection, for every process that has a copy of its socket."""
        self.usable = False
        try:
            self.hang_up()
        finally:
            self._sock.close()

    def detach(self) -> socket.socket:
        """The socket, which is the caller's from here on."""
        return self._sock

    def drop(self) -> None:
        """Close this process's copy; the connection is another's."""
        self.usable = False
        self._sock.close()

    def _fill(self) -> bool:
        """Read what is there; whether there may be more."""
        data = self._receive(self._read_size)
        self._reader.feed(data)
        self.usable = True
        full = len(data) == self._read_size
        if full:
            self._read_size = READ_LARGE
        return full

    def _receive(self, most: int) -> bytes:
        """What is there; a reply is torn until _feed() has it."""
        self.usable = False
        try:
            data = self._sock.recv(most)
        except OSError as error:
            if from_handler(error):
                raise
            raise self._lost(error) from error
        if not data:
            raise self._lost(None)
        return data

    def _feed(self, data: bytes) -> None:
        self._reader.feed(data)
        self.usable = True

    def _lost(self, error: OSError | None) -> StoreAwayError:
        cause = "it closed the connection" if error is None else error.strerror or str(error)
        lost = StoreAwayError(
            f"lost the connection to the store at {self.address} ({cause}): "
            "see whether that Redis server is still running and reachable"
        )
        lost.starting = True
        return lost


def from_handler(error: OSError) -> bool:
    """Whether a signal handler of the program raised it (many raise TimeoutError), not what we called."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    name = "" if step is None else str(step.tb_frame.f_globals.get("__name__"))
    return step is not None and name != "socket" and not name.startswith(_OURS)


def by_handler(error: BaseException) -> bool:
    """Whether it began in a signal's handler: a function that is given a number and a frame."""
    step = error.__traceback__
    while step is not None:
        code, names = step.tb_frame.f_code, step.tb_frame.f_locals
        given = [names.get(name) for name in code.co_varnames[: code.co_argcount]]
        if len(given) >= 2 and isinstance(given[-2], int) and isinstance(given[-1], FrameType):
            return True
        step = step.tb_next
    return False


@contextlib.contextmanager
def handlers_errors_only() -> Iterator[None]:
    """Nothing is to be done about an OSError; but what a signal handler raises is the program's own."""
    try:
        yield
    except OSError as error:
        if from_handler(error):
            raise


def silent(address: str, seconds: float) -> StoreAwayError:
    """The error for a server that does not answer, on a connection that has not ended."""
    return StoreAwayError(
        f"the store at {address} has not answered within {seconds:g} s: see whether that Redis server is "
        "still reachable, and not too busy"
    )


def garbled(address: str, answer: str) -> StoreError:
    """The error for a server that answers what Redis would not."""
    return StoreError(
        f"the server at {address} answers what Redis would not ({answer}): is it a Redis server? "
        "check TRANSPARENT_MP_REDIS_URL"
    )


#: Where a system lacks it, it means nothing.
_MORE_COMES = getattr(socket, "MSG_MORE", 0)
#: Beside the standard library's `socket`, the modules in whose frames the errors begin of what we call.
_OURS = "transparent_mp."


class _More:
    """What the reader answers while a reply is incomplete."""


_MORE = _More()
