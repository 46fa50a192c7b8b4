"""Who waits looks by itself while answers come soon, and sleeps otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from transparent_mp.store import spin
from transparent_mp.store.spin import LATE, LONGEST, SHORTEST, SPAN, Spin

FOUND = [(3, 1)]
LOOK = 0.000002


class Machine:
    """A clock, and a poll that finds something from a moment on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.comes = float("inf")
        self.looks = 0
        self.slept: list[float | None] = []
        #: Seconds for which another has the processor at each yield.
        self.taken = 0.0

    def monotonic(self) -> float:
        return self.now

    def give_way(self) -> None:
        self.now += self.taken

    def poll(self, timeout: float | None) -> list[tuple[int, int]]:
        if timeout != 0:
            self.slept.append(timeout)
            self.now = max(self.now, min(self.comes, self.now + (timeout or 1e9) / 1000))
        else:
            self.looks += 1
            self.now += LOOK
        return FOUND if self.now >= self.comes else []


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(spin, "monotonic", made.monotonic)
    monkeypatch.setattr(spin, "_yield", made.give_way)
    monkeypatch.setattr(spin, "_pause", spin._Pause())
    return made


def wait(machine: Machine, waiter: Spin, after: float, timeout: float | None = None) -> Any:
    machine.comes = machine.now + after
    machine.looks, machine.slept = 0, []
    return waiter.wait(machine, timeout)  # type: ignore[arg-type]


def test_what_comes_soon_is_found_without_sleeping(machine: Machine) -> None:
    assert wait(machine, Spin(), SPAN / 2) == FOUND
    assert machine.looks > 10
    assert not machine.slept


def test_a_long_wait_is_slept_after_the_span(machine: Machine) -> None:
    begun = machine.now
    assert wait(machine, Spin(), 1.0) == FOUND
    assert machine.looks <= SPAN / LOOK + 2
    assert machine.slept == [None]
    assert machine.now - begun == pytest.approx(1.0)


def test_after_a_long_wait_the_next_is_slept_at_once_until_one_was_short(machine: Machine) -> None:
    waiter = Spin()
    wait(machine, waiter, 1.0)
    wait(machine, waiter, SPAN / 2)
    assert (machine.looks, machine.slept) == (1, [None])
    wait(machine, waiter, SPAN / 2)
    assert machine.looks > 10
    assert not machine.slept


def test_a_processor_that_is_taken_ends_the_looking_of_all(machine: Machine) -> None:
    machine.taken = 2 * LATE
    assert wait(machine, Spin(), SPAN) == FOUND
    assert machine.looks == 2
    machine.taken = 0.0
    other = Spin()
    wait(machine, other, SPAN / 2)
    assert machine.looks == 1
    machine.now += SHORTEST
    wait(machine, other, SPAN / 2)
    assert machine.looks > 10


def test_the_pause_grows_while_it_is_taken_and_shrinks_when_it_is_not(machine: Machine) -> None:
    machine.taken = 2 * LATE
    for _ in range(20):
        machine.now += LONGEST
        wait(machine, Spin(), SPAN)
    assert spin._pause.lasts == LONGEST
    machine.taken = 0.0
    for _ in range(20):
        machine.now += LONGEST
        wait(machine, Spin(), SPAN / 2)
    assert spin._pause.lasts == SHORTEST


def test_what_is_waited_for_may_have_the_processor_meanwhile(machine: Machine) -> None:
    # A process of a pool computes for so long between a task and its result.
    machine.taken = 0.0003
    assert wait(machine, Spin(), 2 * machine.taken) == FOUND
    assert not machine.slept
    machine.taken = 0.0
    wait(machine, Spin(), SPAN / 2)
    assert machine.looks > 10


def test_what_has_come_when_the_processor_was_taken_is_found(machine: Machine) -> None:
    machine.taken = 2 * LATE
    assert wait(machine, Spin(), LATE) == FOUND
    assert not machine.slept


def test_nobody_looks_on_one_processor(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spin, "_yield", None)
    assert wait(machine, Spin(), SPAN / 2) == FOUND
    assert (machine.looks, machine.slept) == (1, [None])


def test_a_wait_lasts_no_longer_than_it_may(machine: Machine) -> None:
    begun = machine.now
    assert wait(machine, Spin(), 10.0, timeout=0.01) == []
    assert machine.now - begun == pytest.approx(0.01, abs=2 * LOOK)


def test_a_look_does_not_wait(machine: Machine) -> None:
    assert wait(machine, Spin(), SPAN / 2, timeout=0.0) == []
    assert machine.looks == 1
