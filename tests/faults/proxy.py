"""A TCP proxy that makes trouble on connections to a store, at moments that its caller chooses.

    with Proxy(("127.0.0.1", 6379)) as proxy:
        proxy.plan = Seeded(7, rate=0.01)         from here on, by chance; the same chances for the same seed
        proxy.next(Fault.REPLY_LOST, skip=3)      or exactly: the fourth request from now on
        proxy.cut()                               or now: every connection
        proxy.refuse(); proxy.accept()            nobody listens; somebody does again
        proxy.hold(port); proxy.release()         what comes for that port stays here; it goes on
        proxy.target = other                      where later connections lead
        proxy.watch = seen                        is called with each piece of data before it goes on

It serves in a thread of its own. What it does not cut it forwards unchanged and in order. It knows bytes, not
commands: a request is what one read finds.
"""

from __future__ import annotations

import enum
import math
import os
import random
import selectors
import socket
import threading
import time
from collections import Counter
from typing import Callable, Optional

READ = 256 * 1024


class Fault(enum.Enum):
    """What happens to a piece of data, and to its connection."""

    #: Nothing of a request arrives.
    REQUEST_LOST = "request lost"
    #: The beginning of a request arrives.
    REQUEST_TORN = "request torn"
    #: A request arrives, after the client has seen the end of the connection.
    REQUEST_LATE = "request late"
    #: A request arrives, and its reply does not.
    REPLY_LOST = "reply lost"
    #: The beginning of a reply arrives.
    REPLY_TORN = "reply torn"
    #: The client reads the end; the server's side stays open until the client closes.
    HALF_CLOSED = "half closed"
    #: Nothing moves for a while, and then goes on.
    STALLED = "stalled"


#: Those that befall what comes from the server.
OF_REPLIES = frozenset((Fault.REPLY_LOST, Fault.REPLY_TORN))

#: Whether a piece of data is to suffer; `upward`: it goes to the server.
Plan = Callable[[bool], Optional[Fault]]
#: Port of the client's side of its connection, whether it goes to the server, the data.
Watch = Callable[[int, bool, bytes], None]


class Seeded:
    """Faults by chance: one piece of data in 1/rate suffers."""

    def __init__(self, seed: int, rate: float, faults: tuple[Fault, ...] = tuple(Fault)) -> None:
        self._random = random.Random(seed)
        self._rate = rate
        self._up = [fault for fault in faults if fault not in OF_REPLIES]
        self._down = [fault for fault in faults if fault in OF_REPLIES]

    def __call__(self, upward: bool) -> Fault | None:
        chosen = self._up if upward else self._down
        return self._random.choice(chosen) if chosen and self._random.random() < self._rate else None


class _End:
    """One socket of a pair; `backlog` is what it has not taken yet."""

    def __init__(self, sock: socket.socket, upward: bool) -> None:
        sock.setblocking(False)
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        #: Of the client's side.
        self.port = 0
        #: Whether what is read here goes to the server.
        self.upward = upward
        self.other: _End = self
        self.backlog = bytearray()
        #: When it is closed, once it has taken its backlog; when it moves again.
        self.closes = False
        self.resumes = 0.0
        self.open = True
        #: What the selector is asked about.
        self.heard = 0


class Proxy:
    """Forwards connections to `target`. `happened` counts the faults that were made."""

    #: Seconds that a stalled connection stands still, and that a late request is late.
    stall = 0.05

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.plan: Plan | None = None
        self.watch: Watch | None = None
        self.happened: Counter[Fault] = Counter()
        self._planned: list[tuple[int, Fault]] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._refusing = False
        self._ends: set[_End] = set()
        self._lock = threading.RLock()
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = os.pipe()
        self._stopped = False
        self._thread = threading.Thread(target=self._serve, name="proxy", daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stopped = True
        self._wake()
        self._thread.join()
        for end in list(self._ends):
            self._close(end)
        self._selector.close()
        self._listener.close()
        os.close(self._woken)
        os.close(self._waker)

    def url(self, user: str = "") -> str:
        """The store's address through it; `user`: NAME:PASSWORD, or :PASSWORD."""
        return f"redis://{user}@127.0.0.1:{self.port}" if user else f"redis://127.0.0.1:{self.port}"

    def next(self, fault: Fault, skip: int = 0) -> None:
        """Let it befall the next request (or reply) but `skip`, on whichever connection that is."""
        with self._lock:
            self._planned.append((skip, fault))

    def cut(self) -> None:
        """End every connection, now."""
        with self._lock:
            for end in list(self._ends):
                self._close(end)
        self._wake()

    def refuse(self) -> None:
        """End every connection, and take no other."""
        self._refusing = True
        self.cut()

    def accept(self) -> None:
        """Take connections again."""
        self._refusing = False

    def hold(self, port: int) -> None:
        """Keep what the server sends to the client that has this port."""
        with self._lock:
            for end in self._ends:
                if end.port == port and end.upward:
                    end.resumes = math.inf
                    self._listen(end.other)

    def release(self) -> None:
        """Let all of that go on."""
        with self._lock:
            for end in self._ends:
                if end.resumes == math.inf:
                    end.resumes = time.monotonic()
        self._wake()

    def connections(self) -> int:
        """How many lead through it."""
        return len(self._ends) // 2

    def _wake(self) -> None:
        os.write(self._waker, b"w")

    def _serve(self) -> None:
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        while not self._stopped:
            found = self._selector.select(self._soonest())
            with self._lock:
                for key, events in found:
                    if key.fd == self._woken:
                        os.read(self._woken, 1024)
                    elif key.fileobj is self._listener:
                        self._connected()
                    elif key.data.open:
                        self._move(key.data, events)
                for end in list(self._ends):
                    if end.open and end.resumes and time.monotonic() >= end.resumes:
                        end.resumes = 0.0
                        self._flush(end)
                        if end.other.open:
                            self._listen(end.other)

    def _soonest(self) -> float | None:
        due = [end.resumes for end in self._ends if 0 < end.resumes < math.inf]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _connected(self) -> None:
        near, (_, port) = self._listener.accept()
        try:
            if self._refusing:
                raise ConnectionRefusedError
            far = socket.create_connection(self.target)
        except OSError:
            near.close()
            return
        one, two = _End(near, upward=True), _End(far, upward=False)
        one.other, two.other = two, one
        one.port = two.port = port
        for end in (one, two):
            self._ends.add(end)
            self._listen(end)

    def _move(self, end: _End, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._flush(end)
        if not end.open or not events & selectors.EVENT_READ or end.other.resumes:
            return
        try:
            data = end.sock.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._ended(end)
            return
        if self.watch is not None:
            self.watch(end.port, end.upward, data)
        fault = self._fault(end.upward)
        if fault is None:
            self._forward(end.other, data)
        else:
            self.happened[fault] += 1
            self._suffer(end, data, fault)

    def _fault(self, upward: bool) -> Fault | None:
        for at, (skip, fault) in enumerate(self._planned):
            if upward is not (fault in OF_REPLIES):
                if skip:
                    self._planned[at] = (skip - 1, fault)
                    continue
                del self._planned[at]
                return fault
        return self.plan(upward) if self.plan is not None else None

    def _suffer(self, end: _End, data: bytes, fault: Fault) -> None:
        if fault in (Fault.REQUEST_LOST, Fault.REPLY_LOST):
            self._close(end)
        elif fault in (Fault.REQUEST_TORN, Fault.REPLY_TORN):
            self._forward(end.other, data[: len(data) // 2])
            self._close(end)
        elif fault is Fault.STALLED:
            end.other.resumes = time.monotonic() + self.stall
            self._forward(end.other, data)
            self._listen(end)
        elif fault is Fault.REQUEST_LATE:
            far = end.other
            far.resumes = time.monotonic() + self.stall
            self._forward(far, data)
            self._ended(end)
            self._drop(end)
        elif fault is Fault.HALF_CLOSED:
            self._forward(end.other, data)
            try:
                end.sock.shutdown(socket.SHUT_WR)
            except OSError:
                self._close(end)

    def _ended(self, end: _End) -> None:
        """Nothing more comes from there; the other side takes what is left, and then the end."""
        other = end.other
        other.closes = True
        if not other.backlog:
            self._drop(other)
        if end.closes or not other.open:
            self._drop(end)
        elif end.open:
            # It would be readable for ever.
            self._listen(end)

    def _forward(self, end: _End, data: bytes) -> None:
        if end.open:
            end.backlog += data
            self._flush(end)

    def _flush(self, end: _End) -> None:
        if end.resumes or not end.open:
            return
        try:
            while end.backlog:
                del end.backlog[: end.sock.send(end.backlog)]
        except BlockingIOError:
            pass
        except OSError:
            self._close(end)
            return
        if end.closes and not end.backlog:
            self._drop(end)
            self._drop(end.other)
        elif end.open:
            self._listen(end)

    def _listen(self, end: _End) -> None:
        silent = end.other.closes or end.other.resumes
        wanted = (0 if silent else selectors.EVENT_READ) | (selectors.EVENT_WRITE if end.backlog else 0)
        if not end.open or wanted == end.heard:
            return
        if end.heard and wanted:
            self._selector.modify(end.sock, wanted, end)
        elif wanted:
            self._selector.register(end.sock, wanted, end)
        else:
            self._selector.unregister(end.sock)
        end.heard = wanted

    def _close(self, end: _End) -> None:
        self._drop(end)
        self._drop(end.other)

    def _drop(self, end: _End) -> None:
        if end.open:
            end.open = False
            if end.heard:
                self._selector.unregister(end.sock)
            end.sock.close()
            self._ends.discard(end)
