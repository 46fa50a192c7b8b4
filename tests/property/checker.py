"""What release consistency allows: every byte that was read, against every write of the run.

A trace is what one process did, in order: its program's steps, each with what came of it. From what
came (who sent the message, the how-manieth section of a lock this was) follows what happened before
what, kept as vector clocks. A read may return a write that does not happen after it, unless another
write to the byte lies between the two; and what a process has seen, it does not see undone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from programs import Op

#: A step and what came of it: (op, result).
Step = tuple[Op, Any]
Clock = dict[Any, int]
Node = tuple[Any, int]


class Violation(AssertionError):
    """A run that release consistency does not allow."""


@dataclass(frozen=True)
class Write:
    """A write of the run, and all that happened before it."""

    process: Any
    index: int
    number: int

    def before(self, clock: Clock) -> bool:
        return clock.get(self.process, -1) >= self.index


class Run:
    """Checks the traces of one run. Children are processes of their own, named (parent, index)."""

    def __init__(self, traces: dict[Any, list[Step]]) -> None:
        self._traces = traces
        self._clocks: dict[Node, Clock] = {}
        self._writes: dict[tuple[str, int], list[tuple[Write, Clock]]] = defaultdict(list)
        self._reads: list[tuple[Node, Op, bytes]] = []

    def check(self) -> None:
        self._order()
        self._collect()
        seen: dict[tuple[Any, str, int], tuple[Write, Node]] = {}
        for node, op, found in self._reads:
            _, segment, start, _length, step = op
            for at, value in enumerate(found):
                self._check_byte(node, segment, start + at * step, value, seen)

    def _check_byte(
        self,
        node: Node,
        segment: str,
        at: int,
        value: int,
        seen: dict[tuple[Any, str, int], tuple[Write, Node]],
    ) -> None:
        clock = self._clocks[node]
        writes = self._writes[segment, at]
        what = f"process {node[0]}, step {node[1]}: byte {at} of {segment} is {value}"
        done = [write for write, _ in writes if write.before(clock)]
        if value == 0:
            if done:
                raise Violation(f"{what}, though {done[-1]} happened before")
            return
        source = next((pair for pair in writes if pair[0].number == value), None)
        if source is None:
            raise Violation(f"{what}, which nobody wrote there")
        write, after = source
        if after.get(node[0], -1) >= node[1] and (write.process, write.index) != node:
            raise Violation(f"{what}, by {write}, which happens after")
        for other, other_clock in writes:
            if other != write and write.before(other_clock) and other.before(clock):
                raise Violation(f"{what}, by {write}, though {other} came between")
        last = seen.get((node[0], segment, at))
        if last is not None and last[0] != write:
            last_clock = self._clocks[last[0].process, last[0].index]
            if write.before(last_clock):
                raise Violation(f"{what}, by {write}, though step {last[1][1]} had seen {last[0]} already")
        seen[node[0], segment, at] = write, node

    def _collect(self) -> None:
        for process, trace in self._traces.items():
            for index, (op, result) in enumerate(trace):
                node = process, index
                if op[0] == "write":
                    _, segment, start, length, step, number = op
                    write = Write(process, index, number)
                    for at in range(start, start + length * step, step):
                        self._writes[segment, at].append((write, self._clocks[node]))
                elif op[0] == "read":
                    self._reads.append((node, op, result))

    def _order(self) -> None:
        """A clock for each step: all that happened before it, itself included."""
        causes = _causes(self._traces)
        at = dict.fromkeys(self._traces, 0)
        left = sum(len(trace) for trace in self._traces.values())
        while left:
            before = left
            for process, trace in self._traces.items():
                while at[process] < len(trace):
                    node = process, at[process]
                    clock = self._clock(node, causes)
                    if clock is None:
                        break
                    self._clocks[node] = clock
                    at[process] += 1
                    left -= 1
            if left == before:
                waits = {
                    process: trace[at[process]]
                    for process, trace in self._traces.items()
                    if at[process] < len(trace)
                }
                raise Violation(f"what is said to have come before these steps did not: {waits}")

    def _clock(self, node: Node, causes: dict[Node, list[Node]]) -> Clock | None:
        process, index = node
        clock: Clock = {}
        for cause in ((process, index - 1), *causes[node]) if index else causes[node]:
            known = self._clocks.get(cause)
            if known is None:
                return None
            for who, when in known.items():
                clock[who] = max(clock.get(who, -1), when)
        clock[process] = index
        return clock


def _causes(traces: dict[Any, list[Step]]) -> dict[Node, list[Node]]:
    """The steps of other processes that each step comes after."""
    causes: dict[Node, list[Node]] = defaultdict(list)
    sections: dict[Any, dict[int, tuple[Node, Node]]] = defaultdict(dict)
    ups: dict[Any, list[Node]] = defaultdict(list)
    downs: dict[Any, list[Node]] = defaultdict(list)
    sets: dict[int, Node] = {}
    looks: list[tuple[Node, int]] = []
    meetings: dict[int, list[Node]] = defaultdict(list)
    gives: dict[int, Node] = {}
    takes: list[tuple[Node, int]] = []
    for process, trace in traces.items():
        met = 0
        opened: tuple[Any, int, Node] | None = None
        for index, (op, result) in enumerate(trace):
            node, kind = (process, index), op[0]
            if kind in ("receive", "get"):
                causes[node].append(tuple(result))
            elif kind == "acquire":
                opened = op[1], result, node
            elif kind == "release":
                assert opened is not None
                if opened[1] in sections[op[1]]:
                    raise Violation(f"two sections of lock {op[1]} were both number {opened[1]}")
                sections[op[1]][opened[1]] = opened[2], node
            elif kind == "up":
                ups[process, op[1]].append(node)
            elif kind == "down":
                downs[op[1], process].append(node)
            elif kind == "set":
                sets[op[1]] = node
            elif kind == "await" or (kind == "look" and result):
                looks.append((node, op[1]))
            elif kind == "meet":
                meetings[met].append(node)
                met += 1
            elif kind == "give":
                if result in gives:
                    raise Violation(f"two were given as number {result}")
                gives[result] = node
            elif kind == "take":
                takes.append((node, result))
            elif kind == "begin":
                causes[node].append(op[1])
            elif kind == "join":
                causes[node].append((op[1], len(traces[op[1]]) - 1))
    for numbered in sections.values():
        for number, (acquired, _released) in numbered.items():
            if number:
                if number - 1 not in numbered:
                    raise Violation(f"section {number} of a lock came without {number - 1}")
                causes[acquired].append(numbered[number - 1][1])
    for place, found in downs.items():
        for down, up in zip(found, ups[place]):
            causes[down].append(up)
    for node, event in looks:
        if event not in sets:
            raise Violation(f"event {event} was seen set by {node}, but nobody set it")
        causes[node].append(sets[event])
    for nodes in meetings.values():
        _meet(causes, nodes)
    for number, node in gives.items():
        if number > 1:
            causes[node].append(gives[number - 1])
    for node, number in takes:
        causes[node].append(gives[number])
    return causes


def _meet(causes: dict[Node, list[Node]], nodes: Iterable[Node]) -> None:
    # After the steps before the meeting, not after the meetings themselves: those are at once.
    before = [(process, index - 1) for process, index in nodes if index]
    for node in nodes:
        causes[node].extend(one for one in before if one[0] != node[0])


def check(traces: dict[Any, list[Step]]) -> None:
    """Raises Violation."""
    Run(traces).check()
