"""A few of the seeded runs of `make faults`: every program, every trouble but those of many seconds."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from faults.judging import RULES
from faults.making import Family
from faults.runs import Leftovers, run
from faults.trials import TRAFFIC, Trial, Trouble

#: Those first after which keys are there for ten seconds more, in which the others run.
SEEDS = (38, 10, 31, 35, 26, 3, 30, 33, 88, 89, 32, 49, 94, 117, 118)


@pytest.fixture(scope="module")
def leftovers() -> Iterator[Leftovers]:
    leftovers = Leftovers()
    yield leftovers
    assert [one.wrong for one in leftovers.see(all_of_them=True)] == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_is_right_and_leaves_nothing(seed: int, leftovers: Leftovers) -> None:
    found = run(Trial.of(seed), leftovers)
    assert found.wrong == [], f"{found.trial}\n{found.did}\n{found.out}{found.err}"


def test_they_are_of_every_kind() -> None:
    trials = [Trial.of(seed) for seed in SEEDS]
    assert {trial.program for trial in trials} == set(TRAFFIC)
    long = {Trouble.FREEZE_LONG, Trouble.GONE}
    assert {trial.trouble for trial in trials} == set(Trouble) - long - {Trouble.CUT}


def test_a_wrong_result_is_noticed() -> None:
    """Each rule fails for a program that has lost, doubled or reordered something."""
    right = [0, 1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121, [144], [169], [196], [225]]
    fed = [[who, number] for who in range(2) for number in range(30)]
    codes = [0, 0]
    queues = {"fed": fed, "eaten": list(range(30)), "left": [], "codes": [codes, codes]}
    wrong = {
        "processes": [[[0, 0], [None, 1]], [[0, 0], [1, 2]], [[0, -9]]],
        "pools": [
            {"found": [None, *right[1:]], "begun": list(range(16))},
            {"found": right, "begun": [0, *range(16)]},
            {"found": ["WorkerLostError", *right[1:]], "begun": list(range(16))},
        ],
        "executors": [[[0, None]], [["BrokenProcessPool"]]],
        "queues": [
            {**queues, "fed": fed[:-1]},
            {**queues, "fed": fed[::-1]},
            {**queues, "eaten": [0, *range(30)]},
            {**queues, "eaten": list(range(29))},
        ],
        "pipes": ["another answer", [29, 0], [30, 1]],
        "locks": [
            {"found": [["done", 20]] * 2, "codes": codes, "value": 39},
            {"found": [["done", 20], ["stuck", 3]], "codes": codes, "value": 23},
        ],
        "events": [{"found": [[0, n] for n in range(6)], "codes": codes, "set": [True] * 6}],
        "barriers": [{"found": [["broken", 2]] * 3, "codes": [0, 0, 0]}],
        "managers": [{"items": [[0, n] for n in range(8)], "table": [[0, 7]], "codes": codes}],
        "memory": [{"parts": [[1, 2, None]] * 3, "codes": [0, 0, 0]}],
        "files": [{"copies": ["torn"] * 3, "codes": [0, 0, 0]}, {"copies": ["absent"], "codes": [0]}],
    }
    assert set(wrong) == set(RULES)
    for program, every in wrong.items():
        for facts in every:
            assert RULES[program](facts, 0) != [], (program, facts)


def test_a_worker_takes_along_what_its_processes_had_taken_together() -> None:
    def judged(lost: set[int], dead: int) -> bool:
        found = ["WorkerLostError" if number in lost else number * number for number in range(16)]
        return RULES["pools"]({"found": found, "begun": list(range(16))}, dead) == []

    assert judged({1, 2, 3, 4}, 3)
    assert judged({1, 2, 5, 9}, 3)
    # Of so many processes none had these.
    assert not judged({1, 3, 5, 7}, 3)
    # A process that is killed by itself leaves its results to its supervisor.
    assert judged({4}, 1)
    assert not judged({4, 5}, 1)


def test_nothing_is_done_to_the_machine_s_own() -> None:
    """The victims of a run are those with its mark."""
    assert Family("a mark that nobody has", os.getpid()).kinds() == {}
