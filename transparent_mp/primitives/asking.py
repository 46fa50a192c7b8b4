"""The commands that ask the store for what others have changed in segments, and the plainest of its answers.

    a few small segments           a plain command each: what it is now (`Replica.look`)
    large ones written in rounds   a plain command each: what is expected of them (`Expected`)
    others                         one script for all: what changed since the versions known

It does not know when they are sent: `memory` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from transparent_mp.primitives.brings import Brings
from transparent_mp.primitives.replica import Replica
from transparent_mp.store.link import Arg, Command, Reply
from transparent_mp.store.scripts import script
from transparent_mp.store.session import Session

#: Small segments up to which each is asked for by a plain command. More: one script is cheaper.
FEW = 4


def fetching(
    session: Session, replicas: Sequence[Replica], brings: Brings | None = None
) -> tuple[Command, ...]:
    """Commands that fetch what others changed since the versions known.

    `brings`: of an end whose answer is one of several that are waited for at a time.
    """
    if not replicas:
        return ()
    if len(replicas) == 1 and replicas[0].small:
        return replicas[0].look(session, brings)
    # Several that are under way begin each where the one before ended, which the script knows.
    plain = [one for one in replicas if not one.small and one.expected.trusted] if brings is None else []
    rest = [one for one in replicas if one not in plain] if plain else replicas
    if len(rest) <= FEW and all(replica.small for replica in rest):
        plain, rest = [*plain, *rest], ()
    commands = [command for replica in plain for command in replica.look(session, brings)]
    if rest:
        commands.append(_asking(session, rest, under_way=brings is not None))
    return tuple(commands)


def unaccepted(
    replicas: Mapping[str, Replica], replies: Iterable[Reply], brings: Brings | None
) -> list[Reply]:
    """Those but the answers to plain commands about small segments, which it merges. `replicas`: by id."""
    rest: list[Reply] = []
    for reply in replies:
        replica = None
        if reply.__class__ is list and reply[0].__class__ is bytes:
            replica = replicas.get(reply[0].decode())
        if replica is None or replica.ended or not replica.small:
            rest.append(reply)
            continue
        news = replica.accept(reply)
        if news is None:
            rest.append(reply)
        elif brings is not None:
            brings.came(replica, news=news)
    return rest


def _asking(session: Session, replicas: Sequence[Replica], under_way: bool) -> Command:
    keys: list[str] = []
    # Of those that are under way each begins where the one that was answered before it ended.
    args: list[Arg] = [session.uid, int(under_way)]
    for replica in replicas:
        names, question = replica.question(session)
        keys += names
        args += question
    return script("fetch", keys, args)


def going_on(session: Session, replica: Replica, after: int) -> Command:
    """The command that fetches what anybody changed since a version, where an answer stopped short."""
    keys, question = replica.question(session, after)
    return script("fetch", keys, (session.uid, "own", *question))
