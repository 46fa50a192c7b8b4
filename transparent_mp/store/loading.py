"""Large replies, read to where they shall lie on a line of their own: whoever sends meanwhile is not held up.

Each is asked for while the one before it is being used, so that the store and the network have it ready.

It does not know what is read, nor what becomes of a reply that did not come: whoever wants it asks again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from transparent_mp.errors import StoreAwayError
from transparent_mp.store.link import Command

if TYPE_CHECKING:
    from transparent_mp.store.line import Line
    from transparent_mp.store.store import Store

#: What is asked for and where its reply shall lie, which is just that long.
Wanted = tuple[Command, memoryview]
#: Replies asked for ahead. Larger: the store holds more of them; smaller: it rests while one is being used.
AHEAD = 1


def loaded(store: Store, wanted: Sequence[Wanted]) -> Iterator[bool]:
    """Read one reply after the other; False for one that is no string of that length, or was
    lost with the connection: Store.ask() tells.

    `wanted`: looks, which may be repeated.
    """
    line = store.watch()
    done = False
    try:
        yield from _read(store, line, wanted)
        done = True
    finally:
        if done:
            store.unwatch(line)
        else:
            # What is outstanding would be taken for others' replies.
            store.retire(line)


def _read(store: Store, line: Line, wanted: Sequence[Wanted]) -> Iterator[bool]:
    sent = 0
    for at, (_, into) in enumerate(wanted):
        link, here = line.link, False
        if link is not None:
            try:
                ahead = wanted[sent : at + 1 + AHEAD]
                link.send([command for command, _ in ahead])
                sent += len(ahead)
                store.waits += 1
                here = link.read_large(into)
                if not here:
                    link.read()
            except StoreAwayError:
                line.close()
        yield here
