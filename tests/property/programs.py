"""Random programs of several processes over shared memory, and what they are made of.

A program is drawn by running it: at each step a process that can go on does something at random. So
it ends in every other order, too: whatever a process waits for comes from what others do without
waiting for it (each pipe and queue has one reader, nobody waits inside a critical section).

Each write of a program has a number from 1 to 250, which is the value of every byte it writes: what is
read says who wrote it. Bytes begin as 0.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

#: Bytes of each segment. `raw`, `wide` and `vast` follow every synchronisation; `one` and `two` ride on
#: a lock of their own; `mixed` rides in some processes and is taken out of its wrapper in others.
SEGMENTS = {"raw": 48, "wide": 3 * 4096 + 100, "vast": 20_000, "one": 40, "two": 4096 + 50, "mixed": 64}
FREE = ("raw", "wide", "vast")
RIDING = ("one", "two")
BLOCK = 4096
EVENTS = 4
MOST_WRITES = 250
VAST_STEP = 32
#: How likely a process is started where one could be, and starts another one itself.
CHILDREN, NESTED = 0.3, 0.3

#: One step of a process: ("write", segment, start, length, step, number) and the like.
Op = tuple[Any, ...]


@dataclass
class Program:
    """What each process does, in order."""

    seed: int
    ops: list[list[Op]]


@dataclass
class _Drawing:
    """A program as far as it is drawn: what has been sent, set, counted."""

    chance: random.Random
    count: int
    taken_out: frozenset[int]
    ops: list[list[Op]] = field(default_factory=list)
    writes: int = 0
    sent: dict[Any, int] = field(default_factory=dict)
    events: set[int] = field(default_factory=set)
    recent: list[Op] = field(default_factory=list)
    given: int = 0
    #: What is to be read when the children that a process has started are joined, the last one last.
    children: list[list[list[Op]]] = field(default_factory=list)

    def step(self, process: int) -> None:
        kind = self.chance.choice(_STEPS)
        for op in kind(self, process):
            self.ops[process].append(op)

    def range_of(self, segment: str) -> tuple[int, int, int]:
        size = SEGMENTS[segment]
        if segment == "vast":
            # Some bytes of each block: so much that what comes later on another connection overtakes it.
            return self.chance.randrange(VAST_STEP), size // VAST_STEP, VAST_STEP
        length = self.chance.choice((1, 1, 2, 8, 24))
        near = self.chance.randrange(size)
        if size > BLOCK and self.chance.random() < 0.7:
            # Few places, so that processes meet, and the borders of blocks.
            near = self.chance.choice((0, BLOCK - 10, 2 * BLOCK - 3)) + self.chance.randrange(12)
        step = self.chance.choice((1, 1, 2, 3))
        start = min(near, size - 1)
        return start, min(length, (size - 1 - start) // step + 1), step

    def access(self, segment: str) -> Op:
        if self.chance.random() < 0.5 and self.writes < MOST_WRITES:
            self.writes += 1
            written = ("write", segment, *self.range_of(segment), self.writes)
            self.recent = [*self.recent[-5:], written]
            return written
        found = [write for write in self.recent if write[1] == segment]
        if found and self.chance.random() < 0.7:
            return ("read", *self.chance.choice(found)[1:5])
        return ("read", segment, *self.range_of(segment))

    def news(self) -> list[Op]:
        """Reads of what was written last without a lock: what is done after something has come."""
        found = [write for write in self.recent if write[1] in FREE]
        return [("read", *write[1:5]) for write in found[-2:]]


def _raw(drawing: _Drawing, process: int) -> list[Op]:
    segments = ["raw", "wide"] * 2 + ["vast"] + ["mixed"] * (process in drawing.taken_out)
    return [drawing.access(drawing.chance.choice(segments)) for _ in range(drawing.chance.randint(1, 3))]


def _section(drawing: _Drawing, process: int) -> list[Op]:
    lock = drawing.chance.choice((*RIDING, "mixed"))
    inside = [drawing.access(drawing.chance.choice((lock, lock, "raw", "wide"))) for _ in range(3)]
    return [("acquire", lock), *inside[: drawing.chance.randint(1, 3)], ("release", lock)]


def _send(drawing: _Drawing, process: int) -> list[Op]:
    other = drawing.chance.choice([at for at in range(drawing.count) if at != process])
    kind = drawing.chance.choice(("send", "put", "up"))
    # Queues take messages of anybody; pipes and semaphores are between two.
    place = ("put", other) if kind == "put" else (kind, process, other)
    drawing.sent[place] = drawing.sent.get(place, 0) + 1
    return [(kind, other)]


def _receive(drawing: _Drawing, process: int) -> list[Op]:
    places = [place for place, left in drawing.sent.items() if place[-1] == process and left]
    if not places:
        return []
    place = drawing.chance.choice(places)
    drawing.sent[place] -= 1
    if place[0] == "put":
        return [("get",), *drawing.news()]
    if place[0] == "up":
        return [("down", place[1]), *drawing.news()]
    return [("receive", place[1], drawing.chance.choice(("recv", "wait", "poll"))), *drawing.news()]


def _event(drawing: _Drawing, process: int) -> list[Op]:
    event = drawing.chance.randrange(EVENTS)
    if event in drawing.events:
        return [(drawing.chance.choice(("await", "look")), event), *drawing.news()]
    if drawing.chance.random() < 0.3:
        return [("look", event)]
    drawing.events.add(event)
    return [drawing.access("raw"), ("set", event)]


def _condition(drawing: _Drawing, process: int) -> list[Op]:
    if drawing.given and drawing.chance.random() < 0.5:
        return [("take", drawing.chance.randint(1, drawing.given)), *drawing.news()]
    drawing.given += 1
    return [drawing.access("wide"), ("give",)]


def _child(drawing: _Drawing, process: int) -> list[Op]:
    if drawing.chance.random() > CHILDREN:
        return []
    # Nothing is released between these writes and the start.
    before = [drawing.access("raw"), drawing.access("wide")]
    ops, after = _life(drawing, 1 if drawing.chance.random() < NESTED else 0)
    drawing.children[process].append(after)
    return [*before, ("child", ops)]


def _life(drawing: _Drawing, depth: int) -> tuple[tuple[Op, ...], list[Op]]:
    """What a child does, and what its parent reads when it has joined it."""
    ops = drawing.news()
    after: list[Op] = []
    if depth:
        inside = [drawing.access(drawing.chance.choice(("raw", "wide"))) for _ in range(2)]
        nested, seen = _life(drawing, depth - 1)
        ops += [*inside, ("child", nested), drawing.access("raw"), ("join",), *seen]
        after += seen
    last = [drawing.access(drawing.chance.choice(("raw", "wide"))) for _ in range(4)]
    # It ends with writes, which nothing but its exit releases.
    ops += [op for op in last if op[0] == "write"]
    return tuple(ops), after + [("read", *op[1:5]) for op in last if op[0] == "write"]


def _join(drawing: _Drawing, process: int) -> list[Op]:
    waiting = drawing.children[process]
    return [("join",), *waiting.pop()] if waiting else []


def _gather(drawing: _Drawing, _process: int) -> list[Op]:
    """Process 0 asks all others, and takes their answers in an order of its own."""
    others = drawing.chance.sample(range(1, drawing.count), drawing.count - 1)
    for other in others:
        drawing.ops[0].append(("send", other))
        written = [drawing.access(drawing.chance.choice(("raw", "wide"))) for _ in range(2)]
        drawing.ops[other] += [("receive", 0, "recv"), *written, ("send", 0)]
    for other in drawing.chance.sample(others, len(others)):
        drawing.ops[0] += [("receive", other, drawing.chance.choice(("recv", "poll"))), *drawing.news()]
    return []


_STEPS = (
    _raw,
    _raw,
    _raw,
    _section,
    _section,
    _send,
    _send,
    _receive,
    _receive,
    _event,
    _event,
    _condition,
    _child,
    _join,
    _gather,
)


def draw(seed: int, count: int, taken_out: frozenset[int], steps: int = 30) -> Program:
    """The program of that seed. `taken_out`: processes that have the buffer of `mixed` itself."""
    drawing = _Drawing(random.Random(seed), count, taken_out)
    drawing.ops = [[] for _ in range(count)]
    drawing.children = [[] for _ in range(count)]
    for _ in range(steps):
        if drawing.chance.random() < 0.04:
            for ops in drawing.ops:
                ops.append(("meet",))
        else:
            drawing.step(drawing.chance.randrange(count))
    for process, ops in enumerate(drawing.ops):
        while drawing.children[process]:
            ops += _join(drawing, process)
        ops.append(("meet",))
        ops.extend(_final())
    return Program(seed, drawing.ops)


def _final() -> list[Op]:
    ops: list[Op] = []
    for segment in SEGMENTS:
        places = (0, BLOCK - 10, 2 * BLOCK - 3) if SEGMENTS[segment] > BLOCK else (0,)
        reads: list[Op] = [
            ("read", segment, start, min(64, SEGMENTS[segment] - start), 1)
            for start in places
            if start < SEGMENTS[segment]
        ]
        locked = segment in RIDING or segment == "mixed"
        ops += [("acquire", segment), *reads, ("release", segment)] if locked else reads
    return ops
