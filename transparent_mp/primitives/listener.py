"""Listeners and clients: an address of one machine that every process of the session can reach.

A listener is the standard library's, on a real address, and has beside it a *mailbox* in the store:
a pipe into which a client on another machine sends one end of a new pipe. `accept` takes whichever
comes first. Its address is entered in the session's list of names as soon as the process that made
it is part of a session; a client on the same machine dials the real address, which is faster.

    names    "FAMILY ADDRESS" -> sealed "MACHINE OID"

Authentication by challenge is CPython's own, over either kind of connection.

Unlike the standard library, `last_accepted` says of a client on another machine its host's name and, in
place of a port, the number of its connection.
"""

from __future__ import annotations

import contextlib
import os
import socket
import weakref
from multiprocessing import connection, util
from typing import Any

from transparent_mp.errors import StoreError
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives import sharing
from transparent_mp.primitives.connection import Connection, shared_pipe
from transparent_mp.primitives.shared_end import Shared
from transparent_mp.store.session import Session

# typeshed knows the public names only; ours stand on the others.
stock: Any = connection
# The module's own names will be ours.
_StockListener: Any = stock.Listener
_stock_client = stock.Client

#: Hosts that mean this machine.
_HERE = ("", "localhost", "127.0.0.1", "0.0.0.0", "::1", "::")  # noqa: S104  compared with, not bound to


class Listener(_StockListener):  # type: ignore[misc]
    """A listener that processes on workers can reach too."""

    def __init__(
        self, address: Any = None, family: str | None = None, backlog: int = 1, authkey: bytes | None = None
    ) -> None:
        super().__init__(address, family, backlog, authkey)
        self._mailbox: Connection | None = None
        self._into: Connection | None = None
        self._knocks = 0
        # Wakes an `accept` that began before there was a mailbox.
        self._woken, self._waker = os.pipe()
        _listeners.add(self)
        session = sessions.attached()
        if session is not None:
            self.enter(session)

    def enter(self, session: Session) -> None:
        """Let the session's processes find this listener."""
        if self._mailbox is None and self._listener is not None:
            self._mailbox, self._into = shared_pipe()
            hold = self._mailbox._shared.hold  # type: ignore[union-attr]
            names = session.keys("names")
            name = _name(self.address)
            value = session.seal.close(f"{names} {name}", f"{session.machine} {hold.oid}".encode())
            session.store.cast(("HSET", names, name, value), ("PEXPIRE", names, session.ttl))
            # As the file of a socket is unlinked, also when the process ends without closing it.
            self._unlist = util.Finalize(self, session.store.soon, (("HDEL", names, name),), exitpriority=0)
            os.write(self._waker, b"m")

    def accept(self) -> Any:
        if self._listener is None:
            raise OSError("listener is closed")
        try:
            conn = self._next()
        except StoreError:
            # Said once: a manager's server goes on accepting whatever it is told, and would never rest.
            self._mailbox = None
            raise
        if self._authkey is not None:
            stock.deliver_challenge(conn, self._authkey)
            stock.answer_challenge(conn, self._authkey)
        return conn

    def _next(self) -> Any:
        sock = self._listener._socket
        while True:
            waiting = [sock, self._woken] if self._mailbox is None else [sock, self._mailbox]
            ready = stock.wait(waiting)
            if self._listener is None:
                raise OSError("listener is closed")
            if sock in ready:
                return self._listener.accept()
            if self._mailbox in ready:
                found = self._mailbox.accept()  # type: ignore[union-attr]
                if found is not None:
                    conn, host = stock._ForkingPickler.loads(found)
                    self._knocks += 1
                    # A socket of the file system has no name at its other end.
                    address = "" if self._listener._family == "AF_UNIX" else (host, self._knocks)
                    self._listener._last_accepted = address
                    return conn
            else:
                os.read(self._woken, 1)

    def close(self) -> None:
        mailbox, self._mailbox = self._mailbox, None
        if mailbox is not None and self._listener is not None:
            self._unlist()
            self._turn_away(mailbox)
        super().close()
        if self._waker >= 0:
            os.close(self._waker)
            os.close(self._woken)
            self._waker = -1

    def _turn_away(self, mailbox: Connection) -> None:
        """Whoever has knocked and was not let in reads the end."""
        with contextlib.suppress(EOFError):
            while (found := mailbox.take(0)) is not None:
                stock._ForkingPickler.loads(found)[0].close()
        mailbox.close()
        assert self._into is not None
        self._into.close()


class XmlListener(Listener):
    """A listener whose connections carry XML-RPC instead of pickles."""

    def accept(self) -> Any:
        import xmlrpc.client

        # The standard library's module imports it on first use, into this name.
        stock.xmlrpclib = xmlrpc.client
        return stock.ConnectionWrapper(super().accept(), stock._xml_dumps, stock._xml_loads)


def Client(address: Any, family: str | None = None, authkey: bytes | None = None) -> Any:  # noqa: N802
    """Connect to the listener at `address`, on whatever machine of the session it is."""
    session = sessions.attached()
    try:
        found = None if session is None else _find(session, _name(address))
    except StoreError as error:
        # One of this machine needs no store: a manager's server, which is to be told that it is to end.
        return _here(address, family, authkey, error)
    if session is None or found is None:
        return _stock_client(address, family, authkey)
    machine, oid = found
    if machine == session.machine:
        return _stock_client(address, family, authkey)
    if authkey is not None and not isinstance(authkey, bytes):
        raise TypeError("authkey should be a byte string")
    conn = _knock(session, oid)
    if authkey is not None:
        stock.answer_challenge(conn, authkey)
        stock.deliver_challenge(conn, authkey)
    return conn


def _here(address: Any, family: str | None, authkey: bytes | None, lost: StoreError) -> Any:
    try:
        return _stock_client(address, family, authkey)
    except (ConnectionRefusedError, FileNotFoundError):
        raise lost from None


def enter_all(session: Session) -> None:
    """Enter the listeners that were there before the session was."""
    for listener in list(_listeners):
        listener.enter(session)


def _find(session: Session, name: str) -> tuple[str, str] | None:
    """Machine and object id of the listener at an address. Raises UntrustedPayloadError."""
    names = session.keys("names")
    sealed = session.store.ask("HGET", names, name)
    if sealed is None:
        return None
    with session.counting():
        machine, oid = bytes(session.seal.open(f"{names} {name}", sealed)).decode().split()
    return machine, oid


def _knock(session: Session, oid: str) -> Connection:
    mine, theirs = shared_pipe()
    into = Connection.of(Shared(sharing.take(session, oid, 1)), False, True)
    into.send((theirs, socket.gethostname()))
    session.store.settle()
    if into._shared is None or into._shared.sent.broken:
        raise ConnectionRefusedError(111, "Connection refused")
    theirs.close()
    into.close()
    return mine


def _name(address: Any) -> str:
    family = stock.address_type(address)
    if family == "AF_INET":
        host, port = address[:2]
        return f"{family} {'localhost' if host in _HERE else host}:{port}"
    return f"{family} {address!r}"


_listeners: weakref.WeakSet[Listener] = weakref.WeakSet()
