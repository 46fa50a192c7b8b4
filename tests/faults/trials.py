"""What a seed stands for: a program, a trouble, whom it befalls, and the moment.

    Trial.of(17)    always the same one

A moment is a piece of traffic, the n-th to the store or the n-th wait there, and where on its way it is.
It does not know how trouble is made.
"""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass

#: Program -> about how many requests go through the proxy while it runs, and how many of them wait.
TRAFFIC = {
    "processes": (110, 31),
    "pools": (175, 50),
    "executors": (185, 44),
    "queues": (345, 145),
    "pipes": (215, 72),
    "locks": (150, 54),
    "events": (140, 42),
    "barriers": (120, 40),
    "managers": (270, 100),
    "memory": (105, 18),
    "files": (52, 16),
}


class Trouble(enum.Enum):
    """What is done."""

    #: To one connection, or to all.
    CUT = "cut"
    CUT_OFTEN = "cut often"
    STALL = "stall"
    OUTAGE = "outage"
    #: To a process of the operating system.
    KILL = "kill"
    FREEZE = "freeze"
    #: For longer than a lease.
    FREEZE_LONG = "freeze long"
    #: To the server.
    RESTART = "restart"
    RESTART_EMPTY = "restart empty"
    GONE = "gone"


class Victim(enum.Enum):
    """Who is killed or frozen."""

    CLIENT = "client"
    WORKER = "worker"
    PROCESS = "process"
    SERVER = "server"
    #: Whoever sends the piece of traffic.
    SENDER = "sender"


class Where(enum.Enum):
    """On the way of a request and its reply."""

    BEFORE = "before the request is sent"
    BETWEEN = "between request and reply"
    AFTER = "after the reply"
    BLOCKED = "while it is blocked"


#: Trouble -> how often, and whom it can befall.
_TROUBLES: dict[Trouble, tuple[int, tuple[Victim, ...]]] = {
    Trouble.CUT: (12, ()),
    Trouble.CUT_OFTEN: (12, ()),
    Trouble.STALL: (8, ()),
    Trouble.OUTAGE: (8, ()),
    Trouble.KILL: (36, (Victim.CLIENT, Victim.WORKER, Victim.PROCESS, Victim.PROCESS, Victim.SENDER)),
    Trouble.FREEZE: (12, tuple(Victim)),
    Trouble.FREEZE_LONG: (3, (Victim.WORKER, Victim.PROCESS, Victim.CLIENT)),
    Trouble.RESTART: (6, ()),
    Trouble.RESTART_EMPTY: (2, ()),
    Trouble.GONE: (1, ()),
}


@dataclass(frozen=True)
class Trial:
    """One run. `at`: the number of the request; `pause`: seconds that what is not for good lasts."""

    seed: int
    program: str
    method: str
    trouble: Trouble
    victim: Victim | None
    where: Where
    at: int
    pause: float

    @classmethod
    def of(cls, seed: int) -> Trial:
        """That of a seed."""
        chance = random.Random(seed)
        # Each program in turn, so that few runs show all of them.
        program = sorted(TRAFFIC)[seed % len(TRAFFIC)]
        method = chance.choice(("fork", "fork", "fork", "spawn"))
        weights = [often for often, _ in _TROUBLES.values()]
        (trouble,) = chance.choices(list(_TROUBLES), weights)
        victims = _TROUBLES[trouble][1]
        where = chance.choice(list(Where))
        return cls(
            seed,
            program,
            method,
            trouble,
            chance.choice(victims) if victims else None,
            where,
            chance.randrange(TRAFFIC[program][where is Where.BLOCKED]),
            chance.uniform(0.02, 0.6),
        )

    def __str__(self) -> str:
        whom = f" of the {self.victim.value}" if self.victim is not None else ""
        moment = f"{'wait' if self.where is Where.BLOCKED else 'request'} {self.at}"
        return (
            f"{self.program} ({self.method}): {self.trouble.value}{whom} for {self.pause:.2f} s, "
            f"{self.where.value}, {moment}"
        )

    @property
    def lease(self) -> float:
        """Seconds. Short where it is to be over."""
        return 4.0 if self.trouble in (Trouble.FREEZE_LONG, Trouble.GONE) else 20.0
