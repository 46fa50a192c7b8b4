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
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from transparent_mp.errors import ConfigError, StoreError, StoreReplyError
from transparent_mp.hidden import Address, Hiding, Password, public
from transparent_mp.store.link import Command, Link, from_handler, garbled
from transparent_mp.store.refusals import unusable

#: Seconds to wait for a connection, and for each answer until it is made. Longer: a slow network
#: still connects; shorter: an address that swallows packets, or a server of another kind that waits
#: for us, is reported sooner.
CONNECT_TIMEOUT = 10.0

#: TCP keepalive: idle seconds, interval, probes. A blocked pop may wait for days, so a network that swallows
#: packets is noticed by the kernel alone, about when a lease is over: what is done then can be done twice.
KEEPALIVE = (10, 3, 3)
#: Milliseconds that something sent may stay unacknowledged, where a system knows of that; else the kernel
#: sends it again for a quarter of an hour. A server that is only slow acknowledges.
UNACKNOWLEDGED = 20_000

_LOOPBACK = re.compile(r"127(\.\d+){1,3}")


def connect(url: str) -> Link:
    """Return a new link to the store at `url`.

    Raises StoreError naming the address and the cause, never the password; nor is that among the locals of
    what a traceback shows.
    """
    url = Address(url)
    where = _where(url)
    if isinstance(where, str):
        raise ConfigError(f"the store's address {public(url)} is not understood: {where}")
    return _connect_by_redis_py(url) if where is None else _connect_plainly(where, public(url))


class _Where(NamedTuple):
    """What redis://[[USER]:PASSWORD@]HOST[:PORT][/DB] says."""

    place: tuple[str, int]
    #: To be sent first.
    commands: Sequence[Command]


def _where(url: str) -> _Where | str | None:
    """What a plain address says; None for one of another kind, a text for one that means nothing."""
    try:
        parts = urlsplit(str.__str__(url))
        place = (unquote(parts.hostname or "localhost"), parts.port or 6379)
    except ValueError as error:
        # Its words may be those of the address.
        return "its port is no number" if "port" in str(error).lower() else "it is no URL"
    database = parts.path.strip("/") or "0"
    if parts.scheme != "redis" or parts.query or not database.isdigit():
        return None
    user, password = unquote(parts.username or ""), Password(unquote(parts.password or ""))
    commands: list[Command] = []
    if user or password:
        commands.append(("AUTH", user, password) if user else ("AUTH", password))
    if database != "0":
        commands.append(("SELECT", database))
    return _Where(place, commands)


def _connect_plainly(where: _Where, address: str) -> Link:
    try:
        sock = socket.create_connection(where.place, CONNECT_TIMEOUT)
    except OSError as error:
        if from_handler(error):
            raise
        raise unusable(address, error) from None
    _prepare(sock)
    return _greeted(Link(sock, address), where.commands)


def _connect_by_redis_py(url: Address) -> Link:
    import redis
    from redis.connection import parse_url

    options = Hiding()
    try:
        options.update(parse_url(str.__str__(url)))
    except ValueError as error:
        raise ConfigError(f"the store's address {public(url)} is not understood: {error}") from None
    kind = options.pop("connection_class", redis.Connection)
    options.update(
        protocol=2,
        socket_timeout=CONNECT_TIMEOUT,
        socket_connect_timeout=CONNECT_TIMEOUT,
        retry=None,
    )
    if kind is redis.SSLConnection:
        _be_strict(options)
    # Two commands that say who the client is, each waited for: not for every connection of ours.
    options.update(_anonymous())
    sock = _connected(kind, options, public(url))
    if isinstance(sock, StoreError):
        # Outside of its frames, which hold the password.
        raise sock
    _prepare(sock)
    return _greeted(Link(sock, public(url)), ())


def _connected(kind: Any, options: dict[str, Any], address: str) -> socket.socket | StoreError:
    """The socket of a connection that redis-py has made, or why there is none."""
    from redis import RedisError

    try:
        connection = kind(**options)
        connection.connect()
    except (RedisError, OSError, TypeError) as error:
        return unusable(address, error)
    sock: socket.socket = connection._sock
    # The connection object would close the socket when it is collected.
    connection._sock = None
    return sock


def _be_strict(options: dict[str, Any]) -> None:
    """A certificate is checked, and for its host's name too, unless the address says otherwise."""
    options.setdefault("ssl_cert_reqs", "required")
    if options["ssl_cert_reqs"] != "none":
        # Early versions of redis-py check the name only when told to.
        options.setdefault("ssl_check_hostname", True)


def for_workers(url: str) -> Address:
    """The address as a worker can use it: with the certificates of `ssl_ca_certs`, whose file is here.

    A file that is not here is one of the workers'.
    """
    head, _, query = str.__str__(url).partition("?")
    given = parse_qsl(query, keep_blank_values=True)
    named = dict(given).get("ssl_ca_certs", "")
    if not head.startswith("rediss://") or not named:
        return Address(url)
    try:
        with open(named, encoding="ascii") as file:
            certificates = file.read()
    except OSError:
        return Address(url)
    rest = [(name, value) for name, value in given if name != "ssl_ca_certs"]
    return Address(f"{head}?{urlencode([*rest, ('ssl_ca_data', certificates)], quote_via=quote)}")


def is_here_alone(url: str) -> bool:
    """Whether the address is each machine's own: of a server that other machines do not reach by it."""
    parts = urlsplit(str.__str__(url))
    host = parts.hostname or ""
    # Before a name is looked up: a number, or what every machine calls itself.
    return parts.scheme == "unix" or host in ("localhost", "::1") or bool(_LOOPBACK.fullmatch(host))


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
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED)


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
    except StoreError as error:
        refused = type(error)(str(error))
        vars(refused).update(vars(error))
    except BaseException:
        link.close()
        raise
    else:
        return link
    link.close()
    # Not with the frames below, which hold what was sent.
    raise refused
