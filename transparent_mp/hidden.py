"""What holds a secret, in types that do not show it: in a traceback with locals, a log, a debugger.

They are the plain types otherwise, so that what takes bytes, text or a mapping takes them.

Lies below every layer; imports nothing at start-up that an interpreter has not imported by then.
"""

from __future__ import annotations

from collections.abc import Mapping


class Secret(bytes):
    """A session's secret."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__


class Password(str):
    """A word that nobody is to read."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class Address(str):
    """The store's address, which may hold a user and a password."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(public(self))


class Hiding(dict):  # type: ignore[type-arg]
    """A mapping with secrets among its values: a ticket, options of a connection."""

    def __repr__(self) -> str:
        return f"<{', '.join(map(str, self))}>"


#: Variables whose values are addresses of the store.
ADDRESSES = ("TRANSPARENT_MP_REDIS_URL", "TRANSPARENT_MP_WORKER_REDIS_URL")


def without_addresses(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment for a process that is told the address otherwise: any process list shows this one."""
    return {name: value for name, value in environ.items() if name not in ADDRESSES}


def public(url: str) -> str:
    """An address without user, password and options."""
    scheme, _, rest = str.__str__(url).partition("://")
    before, _, place = rest.rpartition("@")
    if "?" in before:
        # A password that was not quoted, or an option with an at sign: where either ends is not known.
        return f"{scheme}://..."
    return f"{scheme}://{place.partition('?')[0].partition('#')[0]}"
