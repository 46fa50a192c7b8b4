"""How a link to the store is made: over TCP with a user and password here, else by redis-py.

redis-py knows TLS, sockets of the file system and every option an address may carry. It is not
imported without need: it takes 0.1 s and 15 MB, which each fork of a worker pays again.

It does not keep connections (`store` does) and starts no server (`server` does).
"""

from __future__ import annotations

import inspect
import re
import socket
from collections.abc import Sequence
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from transparent_mp.errors import ConfigError, StoreReplyError
from transparent_mp.store.link import Command, Link, from_handler, garbled
from transparent_mp.store.refusals import unusable

#: Seconds to wait for a connection, and for each answer until it is made. Longer: a slow network
#: still connects; shorter: an address that swallows packets, or a server of another kind that waits
#: for us, is reported sooner.
CONNECT_TIMEOUT = 10.0

#: TCP keepalive: idle seconds, interval, probes. A blocked pop may wait for days, so a vanished
#: server is noticed by the kernel alone, after 30 + 5 * 10 seconds.
KEEPALIVE = (30, 10, 5)


def connect(url: str) -> Link:
    """Return a new link to the store at `url`.

    Raises StoreError naming the address and the cause, never the password.
    """
    parts = urlsplit(url)
    database = parts.path.strip("/") or "0"
    if parts.scheme == "redis" and not parts.query and database.isdigit():
        return _connect_plainly(parts, database, url)
    return _connect_by_redis_py(url)


def _connect_plainly(parts: SplitResult, database: str, url: str) -> Link:
    """A link to redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]."""
    try:
        place = (unquote(parts.hostname or "localhost"), parts.port or 6379)
    except ValueError as error:
        raise ConfigError(f"the store's address {public(url)} is not understood: {error}") from None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    commands: list[Command] = []
    if user or password:
        commands.append(("AUTH", user, password) if user else ("AUTH", password))
    if database != "0":
        commands.append(("SELECT", database))
    try:
        sock = socket.create_connection(place, CONNECT_TIMEOUT)
    except OSError as error:
        if from_handler(error):
            raise
        raise unusable(public(url), error) from None
    _prepare(sock)
    return _greeted(Link(sock, public(url)), commands)


def _connect_by_redis_py(url: str) -> Link:
    import redis
    from redis.connection import parse_url

    try:
        options: dict[str, Any] = dict(parse_url(url))
    except ValueError as error:
        raise ConfigError(f"the store's address {public(url)} is not understood: {error}") from None
    kind = options.pop("connection_class", redis.Connection)
    options.update(
        protocol=2,
        socket_timeout=CONNECT_TIMEOUT,
        socket_connect_timeout=CONNECT_TIMEOUT,
        retry=None,
    )
    # Two commands that say who the client is, each waited for: not for every connection of ours.
    options.update(_anonymous())
    connection = kind(**options)
    try:
        connection.connect()
    except (redis.RedisError, OSError) as error:
        raise unusable(public(url), error) from None
    sock: socket.socket = connection._sock
    # The connection object would close the socket when it is collected.
    connection._sock = None
    _prepare(sock)
    return _greeted(Link(sock, public(url)), ())


def public(url: str) -> str:
    """The address without user and password."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _anonymous() -> dict[str, None]:
    from redis.connection import AbstractConnection

    known = set(inspect.signature(AbstractConnection.__init__).parameters)
    return dict.fromkeys({"driver_info"} & known or {"lib_name", "lib_version"} & known)


def _prepare(sock: socket.socket) -> None:
    sock.settimeout(None)
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in zip(("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"), KEEPALIVE):
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _greeted(link: Link, commands: Sequence[Command]) -> Link:
    """The link, once it has taken the commands and is known to be a Redis that lets us in."""
    try:
        # PING is what a server refuses that is still loading; INFO it answers even then.
        link.send([*commands, ("PING",), ("CLIENT", "INFO")])
        # From here on replies are waited for without limit.
        if not link.wait(CONNECT_TIMEOUT):
            late = TimeoutError(f"it takes connections but has not answered within {CONNECT_TIMEOUT:g} s")
            raise unusable(link.address, late)
        replies = [link.read() for _ in range(len(commands) + 2)]
        for reply in replies:
            if isinstance(reply, StoreReplyError):
                raise unusable(link.address, reply)
        said = re.match(rb"id=(\d+) addr=(\S+) ", replies[-1]) if isinstance(replies[-1], bytes) else None
        if replies[-2] != b"PONG" or said is None:
            raise garbled(link.address, repr(replies[-2])[:40])
        link.number, link.name = int(said[1]), said[2].decode()
    except BaseException:
        link.close()
        raise
    return link
