"""What a server's error answers mean: cause, remedy, and whether it may answer well a moment later.

Redis begins an error with a code; a script's error has it somewhere within. Errors that are not in the
table here are about a command itself, and are passed on as they are.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from typing import NamedTuple

from transparent_mp.errors import StoreAwayError, StoreError, StoreReplyError

#: What it means that the store does not know a line, or less of it than it has answered.
LOST_KEYS = (
    "the store has lost its keys; it was restarted without its data or emptied, or another took its place "
    "that had not received them"
)


class Kind(enum.Enum):
    """What may be done about a command that was refused; none of them was applied."""

    #: Wait and send it again: the server is starting, or another is about to take its place.
    WAIT = "wait"
    #: Load the scripts and send it again.
    LOAD = "load"
    #: Raise it; the next command may be answered well.
    RAISE = "raise"
    #: Raise it; nothing can be done on this server.
    END = "end"


class Refusal(NamedTuple):
    """One line of the table."""

    kind: Kind
    cause: str
    remedy: str


_RIGHTS = "put them into TRANSPARENT_MP_REDIS_URL as redis://user:password@host:port"

_TABLE = {
    "OOM": Refusal(
        Kind.RAISE,
        "its memory is full (maxmemory)",
        "raise maxmemory, let consumers keep up with producers (a bounded Queue does), or set "
        "TRANSPARENT_MP_BUCKET so that large contents lie elsewhere",
    ),
    "MISCONF": Refusal(
        Kind.RAISE,
        "it takes no writes since it cannot save its data to disk",
        "see its log and its disk, or set stop-writes-on-bgsave-error to no",
    ),
    "READONLY": Refusal(
        Kind.WAIT,
        "it is a read-only replica",
        "put the address of the master into TRANSPARENT_MP_REDIS_URL",
    ),
    "MASTERDOWN": Refusal(
        Kind.WAIT, "it is a replica that has lost its master", "see to the master, or name it in the address"
    ),
    "LOADING": Refusal(
        Kind.WAIT, "it is still loading its data", "try again in a moment, or raise TRANSPARENT_MP_LEASE"
    ),
    "NOREPLICAS": Refusal(
        Kind.RAISE, "it takes no writes since too few replicas follow it", "see min-replicas-to-write there"
    ),
    "NOAUTH": Refusal(Kind.END, "it wants another user or password", _RIGHTS),
    "WRONGPASS": Refusal(Kind.END, "it wants another user or password", _RIGHTS),
    "NOPERM": Refusal(
        Kind.RAISE, "its user may not do this", "give the user the rights that docs/security.md lists"
    ),
    "BUSY": Refusal(
        Kind.RAISE, "somebody's script runs without end there", "end it with SCRIPT KILL, and see whose it is"
    ),
    "NOSCRIPT": Refusal(Kind.LOAD, "it has lost our scripts", "try again"),
    "MOVED": Refusal(Kind.END, "it is one of a cluster", "use a Redis without cluster mode"),
    "CROSSSLOT": Refusal(Kind.END, "it is one of a cluster", "use a Redis without cluster mode"),
    "CLUSTERDOWN": Refusal(Kind.END, "it is one of a cluster", "use a Redis without cluster mode"),
}

#: A code at the beginning, or where a script quotes it.
_CODE = re.compile(r"(?:^|-|: )(" + "|".join(_TABLE) + r")\b")


def refusal(text: str) -> Refusal | None:
    """What the error answer `text` means, if it is one of a command that was refused, not of its own."""
    if "without any password" in text:
        return _TABLE["NOAUTH"]
    found = _CODE.search(text)
    return _TABLE[found[1]] if found else None


def lacks_scripts(replies: Iterable[object]) -> bool:
    """Whether one of them says that the server has lost our scripts, by a restart or a flush."""
    # A loop: a generator for each pop costs half a microsecond.
    for reply in replies:  # noqa: SIM110
        if isinstance(reply, StoreReplyError) and "NOSCRIPT" in str(reply):
            return True
    return False


def explained(address: str, reply: StoreReplyError) -> StoreReplyError:
    """The error to raise for an error answer: with cause and remedy, if they are known."""
    text = str(reply)
    known = refusal(text)
    if known is None:
        return reply
    return StoreReplyError(f"the store at {address} refuses: {known.cause}; {known.remedy} ({text[:200]})")


def unusable(address: str, error: Exception) -> StoreError:
    """The error for a connection that could not be made: StoreAwayError if it may be, a moment later."""
    text = str(error) or type(error).__name__
    known = refusal(text)
    # redis-py has error classes of its own, and leaves out the codes.
    names = {base.__name__ for base in type(error).__mro__}
    if "AuthenticationError" in names:
        known = _TABLE["NOAUTH"]
    if known is not None:
        kind = StoreAwayError if known.kind is Kind.WAIT else StoreError
        found = kind(f"cannot use the store at {address}: {known.cause}; {known.remedy}")
        if isinstance(found, StoreAwayError):
            found.starting = True
        return found
    late = address.startswith("rediss:") and "timeout" in text.lower()
    if late or "certificate" in text.lower() or "ssl" in text.lower():
        return StoreError(
            f"cannot use the store at {address}: TLS failed: {text}; see that the port speaks TLS and that "
            "its certificate is of this host, not expired, and signed by an authority known here "
            "(rediss://...?ssl_ca_certs=FILE)"
        )
    away = isinstance(error, OSError) or names & {"ConnectionError", "TimeoutError"}
    kind = StoreAwayError if away and not isinstance(error, StoreReplyError) else StoreError
    return kind(
        f"cannot use the store at {address}: {text}; check TRANSPARENT_MP_REDIS_URL and that the server can "
        "be reached from here"
    )
