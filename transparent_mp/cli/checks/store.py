"""Redis as this machine reaches it: there, recent enough, and set up for keys that must not vanish."""

from __future__ import annotations

import re
from collections.abc import Iterator

from transparent_mp.cli.checks.line import Line, doubtful, well, wrong
from transparent_mp.config import Config
from transparent_mp.errors import StoreError
from transparent_mp.hidden import public
from transparent_mp.store.connect import connect
from transparent_mp.store.server import find_binary
from transparent_mp.worker.examination import round_trip

#: The oldest server whose commands we use.
OLDEST = (6, 2)
#: Connections that a worker and its process hold, at the least.
LINKS = 4
#: Milliseconds above which a program that exchanges small messages feels each of them.
FAR = 2.0


def check(config: Config) -> Iterator[Line]:
    """The store from here."""
    if not config.redis_url:
        yield _embedded()
        return
    what = f"Redis from here ({public(config.redis_url)})"
    try:
        yield _distance(what, round_trip(config.redis_url))
        yield from _settings(config)
    except StoreError as error:
        yield wrong(
            what, str(error), "check TRANSPARENT_MP_REDIS_URL, the network and the server's access rules"
        )


def _embedded() -> Line:
    try:
        return well("Redis", f"one of its own for each session, by {find_binary()}")
    except StoreError as error:
        return wrong("Redis", "none is there", str(error))


def _distance(what: str, milliseconds: float) -> Line:
    found = f"a round trip takes {milliseconds:.2f} ms"
    if milliseconds < FAR:
        return well(what, found)
    remedy = "programs that exchange many small messages should run nearer to it, in its own network"
    return doubtful(what, found, remedy)


def _settings(config: Config) -> Iterator[Line]:
    link = connect(config.redis_url)
    try:
        link.send([("INFO",)])
        answer = link.read()
    finally:
        link.close()
    if isinstance(answer, Exception):
        # A user may lack INFO, which we do not need.
        yield doubtful(
            "Redis's settings", f"it does not tell ({answer})", "see that its maxmemory-policy is noeviction"
        )
        return
    told = dict(re.findall(r"^(\w+):(.*?)\r?$", answer.decode("utf-8", "replace"), re.MULTILINE))
    version = tuple(int(part) for part in re.findall(r"\d+", told.get("redis_version", "0"))[:2])
    if version < OLDEST:
        shown = ".".join(map(str, OLDEST))
        yield wrong("Redis's version", told.get("redis_version", "unknown"), f"use {shown} or later")
    else:
        yield well("Redis's version", told["redis_version"])
    policy, most = told.get("maxmemory_policy", "noeviction"), int(told.get("maxmemory", 0))
    if policy != "noeviction" and most:
        remedy = "set maxmemory-policy to noeviction: an evicted key is a lost message or lock"
        yield wrong("Redis's memory", f"{most >> 20} MB, then it evicts keys ({policy})", remedy)
    else:
        yield well("Redis's memory", f"{most >> 20} MB" if most else "no limit of its own")
    yield _connections(config, int(told.get("maxclients", 0)))


def _connections(config: Config, most: int) -> Line:
    what, needed = "Redis's connections", config.parallelism() * LINKS
    if most and most < needed:
        remedy = f"raise maxclients above {needed}, or lower TRANSPARENT_MP_WORKERS"
        return doubtful(what, f"{most}, and {config.parallelism()} workers may hold {needed}", remedy)
    return well(what, f"{most or 'as many as come'}")
