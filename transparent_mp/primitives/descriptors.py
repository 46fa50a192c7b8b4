"""What happens to file descriptors that a program sends to a process: an error that says why.

A descriptor is an entry in a table of one kernel. Between two processes of one machine it can go
over a Unix socket; between machines only what it stands for can: a path, bytes, a Connection.

Unlike the standard library, `reduction.send_handle` and `recv_handle` raise OSError on a connection
to another process of the session; on local sockets they are the standard library's own. Sockets and
what else is pickled by descriptor are refused by `start()` in the same words.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any


def refusal(fd: object) -> OSError:
    """The error for descriptor `fd` that was to travel."""
    return OSError(
        errno.EOPNOTSUPP,
        f"file descriptor {fd} cannot travel to another machine: "
        "pass a path, the data, or a multiprocessing Connection",
    )


def send_handle(original: Callable[..., None]) -> Callable[..., None]:
    """The standard library's for local connections, an OSError for others."""

    def send_handle(conn: Any, handle: int, destination_pid: int | None) -> None:
        if _remote(conn):
            raise refusal(handle)
        original(conn, handle, destination_pid)

    return send_handle


def recv_handle(original: Callable[..., int]) -> Callable[..., int]:
    """As `send_handle`."""

    def recv_handle(conn: Any) -> int:
        if _remote(conn):
            raise refusal("of the sender")
        return original(conn)

    return recv_handle


def _remote(conn: Any) -> bool:
    # By attribute: the module of our connections imports the one whose names these take.
    return bool(getattr(conn, "shared", False))
