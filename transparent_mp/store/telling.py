"""A connection on which each of several processes says one thing, and whose answers another one throws away.

    client end     `tell`, by processes that have it from a fork: one write, whole or not at all
    other copy     `look`, by who has made it: reads what was answered

It belongs to no line: what is said on it may be lost, and has to be such that it changes nothing if another
says it as well, or if its sender was taken for dead.
"""

from __future__ import annotations

import contextlib
import socket

import hiredis

from transparent_mp.errors import StoreError
from transparent_mp.hidden import Address
from transparent_mp.store.connect import connect
from transparent_mp.store.link import Command, from_handler

#: One read of answers.
_READ = 4096


def packed(command: Command) -> bytes:
    """What is said: a command."""
    words = (str(word) if isinstance(word, int) else word for word in command)
    return bytes(hiredis.pack_command(tuple(words)))


def numbered(words: bytes, blank: int, number: int) -> bytes:
    """The same with one number in the place of another, which stands in it once."""
    return words.replace(_word(blank), _word(number))


def _word(number: int) -> bytes:
    text = b"%d" % number
    return b"$%d\r\n%b\r\n" % (len(text), text)


class Telling:
    """One such connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    @classmethod
    def begin(cls, url: str) -> Telling | None:
        """None if the store is away, or several cannot write on one connection (TLS)."""
        try:
            link = connect(Address(url))
        except StoreError:
            return None
        sock = link.detach()
        if type(sock) is not socket.socket:
            sock.close()
            return None
        sock.setblocking(False)
        return cls(sock)

    def fileno(self) -> int:
        return self._sock.fileno()

    def tell(self, words: bytes) -> None:
        """Say it (`packed`), if that can be done at once."""
        try:
            if self._sock.send(words) < len(words):
                # Whoever comes next would go on in the middle of it.
                self._sock.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            if from_handler(error):
                raise

    def look(self) -> None:
        """Take what was answered."""
        # Nothing yet, or the connection has ended: then supervisors tell of the ends, as they do in any case.
        with contextlib.suppress(OSError):
            while len(self._sock.recv(_READ)) == _READ:
                pass

    def close(self) -> None:
        """This process's copy."""
        self._sock.close()
