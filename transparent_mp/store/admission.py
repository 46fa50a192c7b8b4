"""Who may have lines: the commands by which a session admits those of one process, and forgets them.

It keeps nothing alive but names: a line may outlive the session that it was of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable

from transparent_mp.store.keys import Keys, new_id
from transparent_mp.store.line import Line
from transparent_mp.store.link import Command, Link
from transparent_mp.store.scripts import evaluated


class Admission:
    """That of one process; `member` as `Session.member`."""

    def __init__(self, keys: Keys, ttl: int, uid: str, member: tuple[str, str] = ("", "")) -> None:
        self._keys = keys
        self._ttl = ttl
        self._member = member
        # A real child's links end with those of the process that has forked it.
        self._owner = member[1] if member[0] == "worker" else uid

    def admission(self, link: Link, line: Line, run: Callable[..., Command] = evaluated) -> Command:
        """The command that admits a new link of a line of this process; `run`: makes a script's command."""
        keys, known = self._keys, str(line.answered()) if line.admitted else ""
        if not line.key:
            line.name = new_id()
            line.key, line.taken = keys("line", line.name), keys("taken", line.name)
        names = (keys("alive"), keys("links", self._owner), keys("keys"), line.key, line.taken)
        place = f"{link.number} {link.name}"
        args = (keys.base, *self._member, self._owner, line.name, place, self._ttl, known)
        return run("admit", names, args)

    def retirement(self, line: Line) -> Sequence[Command]:
        """Commands for when nothing of a line of this process is needed any more."""
        gone = line.key, line.taken
        forgotten = ("HDEL", self._keys("links", self._owner), line.name)
        return forgotten, ("DEL", *gone), ("SREM", self._keys("keys"), *gone)
