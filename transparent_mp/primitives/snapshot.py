"""The client's memory as it was at a `start()`: a forked copy that answers for large globals.

What `fork` gives by copy-on-write, it gives here as well. A large global is neither pickled nor digested
when a process starts. The client forks; the copy waits; when a process on a worker first uses the global,
the copy pickles it, as it was. What its worker does not have yet, by digest, the process asks for, and
the copy puts into the store what that lacks:

    ("pack", module, name)    client -> copy    pickled
    (entry, {digest: size})   copy -> client    pickled
    ("store", digest)         client -> copy    pickled
    done                      copy -> client    when the store has it

So what all workers have does not travel, whatever its size. A copy holds what it has pickled until it is
stored: buffers are its own memory, the rest is no larger than the globals that it was asked for.

A copy lives as long as a process that was started from it. One is enough for several starts between which
no code of the program runs in the starting thread: those of a pool (`moment`).

The copy holds no descriptor of the program's, so that its pipes and sockets end when the program closes
them. It ends with the client, whatever becomes of that. It does not choose what is large.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import pickle
import signal
import socket
import struct
import threading
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Callable

from transparent_mp.ship import contents
from transparent_mp.store.session import OwnedSession, Session

_SIZE = struct.Struct("<Q")

#: Packs the global `name` of `module`: an entry for the process, and its contents by digest.
Pack = Callable[[str, str], "tuple[Any, Mapping[str, Any]]"]


class Snapshot:
    """One copy, as the client holds it."""

    def __init__(
        self,
        session: Session,
        name: str,
        pack: Pack,
        on_unused: Callable[[str], Any],
        kept: contents.Kept,
    ) -> None:
        self.name = name
        self._kept = kept
        self._session = session
        self._on_unused = on_unused
        self._lock = threading.Lock()
        self._entries: dict[tuple[str, str], Any] = {}
        self._sizes: dict[str, int] = {}
        self._counting = threading.Lock()
        self._users = 0
        ours, theirs = socket.socketpair()
        self._pid = _fork()
        if self._pid == 0:
            _answer_for_ever(theirs, session, pack)
        theirs.close()
        self._copy = ours

    def use(self) -> None:
        """One more process stands on it."""
        with self._counting:
            self._users += 1

    def release(self) -> None:
        """A process that stood on it has ended."""
        with self._counting:
            self._users -= 1
            unused = not self._users
        if unused:
            self._on_unused(self.name)
            self.close()
            self._kept.release(self.name)

    def close(self) -> None:
        """End the copy."""
        # An answer under way fails, which is all that is left to do for it. The program may wait for any
        # child, and has then taken this one's end.
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        self._copy.close()

    def let_go(self) -> None:
        """In a child that the program forks: the end of the client shall be the end of the copy."""
        self._copy.close()

    def entry(self, module: str, name: str) -> Any:
        """The global's entry. Raises OSError, EOFError."""
        with self._lock:
            if (module, name) not in self._entries:
                self._entries[module, name] = self._fetch(module, name)
            return self._entries[module, name]

    def store(self, digest: str) -> None:
        """Have a content of an entry in the store. Raises OSError, EOFError."""
        # Another copy may be about to store the same.
        with _storing, self._lock:
            size = self._sizes[digest]
            self._kept.use(self.name, {digest: size})
            if not contents.has(self._session, digest, size):
                _write(self._copy, pickle.dumps(("store", digest)))
                _read(self._copy)

    def _fetch(self, module: str, name: str) -> Any:
        _write(self._copy, pickle.dumps(("pack", module, name)))
        entry, sizes = pickle.loads(_read(self._copy))
        self._sizes.update(sizes)
        return entry


#: Held while a copy stores a content: what two have, one of them stores.
_storing = threading.Lock()


class Snapshots:
    """The client's book of its copies."""

    def __init__(self, session: OwnedSession, pack: Pack) -> None:
        self._session = session
        self._pack = pack
        #: What is stored by digest for the client's processes, whoever asks for it.
        self.kept = contents.Kept(session)
        self._numbers = itertools.count(1)
        self._known: dict[str, Snapshot] = {}
        session.before_end.append(self._close_all)
        session.in_child.append(self._let_go)

    def take(self) -> Snapshot:
        """A copy of this moment, in use; release it when the process has ended."""
        snapshot = _moment.snapshot
        if snapshot is None or snapshot.name not in self._known:
            name = str(next(self._numbers))
            known = self._known
            snapshot = Snapshot(
                self._session, name, self._pack, lambda name: known.pop(name, None), self.kept
            )
            self._known[name] = snapshot
            _moment.has(snapshot)
        snapshot.use()
        return snapshot

    def answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """What a process asks for: a global's entry, pickled, or that a content is in the store."""
        snapshot = self._known.get(request["snapshot"])
        if snapshot is None:
            return {"gone": "the process that it was kept for has ended"}, b""
        try:
            if "digest" in request:
                snapshot.store(request["digest"])
                return {}, b""
            return {}, pickle.dumps(snapshot.entry(request["module"], request["name"]))
        except (OSError, EOFError):
            return {"gone": "the copy of the client's memory that had it has ended"}, b""

    def _close_all(self) -> None:
        while self._known:
            self._known.popitem()[1].close()

    def _let_go(self) -> None:
        for snapshot in self._known.values():
            snapshot.let_go()
        self._known.clear()


class _Moment(threading.local):
    """A stretch of this thread's life in which no code of the program runs in it."""

    lasts = False
    snapshot: Snapshot | None = None

    def has(self, snapshot: Snapshot) -> None:
        if self.lasts:
            # For the moment itself: the first process may end before the second starts.
            snapshot.use()
            self.snapshot = snapshot

    def ends(self) -> None:
        snapshot, self.snapshot, self.lasts = self.snapshot, None, False
        if snapshot is not None:
            snapshot.release()


_moment = _Moment()


@contextlib.contextmanager
def moment() -> Iterator[None]:
    """Starts of this thread within the block see the memory of the first of them."""
    if _moment.lasts:
        yield
        return
    _moment.lasts = True
    try:
        yield
    finally:
        _moment.ends()


def at_one_moment(start_several: Callable[..., Any]) -> Callable[..., Any]:
    """Stands for a function of the standard library that starts processes one after another."""

    def starting(*args: Any, **kwargs: Any) -> Any:
        with moment():
            return start_several(*args, **kwargs)

    return starting


def _fork() -> int:
    with warnings.catch_warnings():
        # "may lead to deadlocks in the child": the copy takes no lock that a thread could hold.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _answer_for_ever(client: socket.socket, session: Session, pack: Pack) -> None:
    try:
        # Nothing of the program's may be collected here: a file's finaliser would write.
        gc.disable()
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        client = _alone_with(client)
        packed: dict[str, Any] = {}
        while True:
            order, *words = pickle.loads(_read(client))
            if order == "pack":
                entry, parts = pack(*words)
                packed.update(parts)
                sizes = {digest: memoryview(part).nbytes for digest, part in parts.items()}
                _write(client, pickle.dumps((entry, sizes)))
            else:
                (digest,) = words
                part = {digest: packed.pop(digest)}
                session.store.call(*contents.put(session, part, set(), lasting=False))
                _write(client, b"done")
                # Not until the next order comes.
                del part
    finally:
        # The client has let go, or sees by our end that we failed; nothing of the program runs at this exit.
        os._exit(0)


def _alone_with(client: socket.socket) -> socket.socket:
    """Let every descriptor but the client's lead nowhere.

    They are not closed: a connection of the program's, or of what stores contents, would else find one of
    ours under its number.
    """
    null, kept = os.open(os.devnull, os.O_RDWR), client.detach()
    for name in os.listdir("/dev/fd"):
        if int(name) not in (kept, null):
            os.dup2(null, int(name), inheritable=False)
    return socket.socket(fileno=kept)


def _write(end: socket.socket, data: bytes) -> None:
    end.sendall(_SIZE.pack(len(data)) + data)


def _read(end: socket.socket) -> bytes:
    (size,) = _SIZE.unpack(_exactly(end, _SIZE.size))
    return _exactly(end, size)


def _exactly(end: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = end.recv(min(size - len(data), 1 << 20))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)
