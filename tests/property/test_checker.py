"""The checker finds what release consistency does not allow, and nothing else."""

from __future__ import annotations

import checker
import pytest

WRITE = ("write", "raw", 3, 2, 1, 7)
LATER = ("write", "raw", 3, 1, 1, 8)
READ = ("read", "raw", 3, 2, 1)


def wrote(op=WRITE):
    return op, None


def saw(*values):
    return READ, bytes(values)


def sent(to):
    return ("send", to), None


def received(sender, index):
    return ("receive", sender, "recv"), (sender, index)


ALLOWED = {
    "nothing happened before": {0: [wrote()], 1: [saw(0, 0)]},
    "what is on its way may be seen": {0: [wrote()], 1: [saw(7, 7)]},
    "and in parts": {0: [wrote()], 1: [saw(7, 0), saw(7, 7)]},
    "what was sent is seen": {0: [wrote(), sent(1)], 1: [received(0, 1), saw(7, 7)]},
    "of two writers either": {
        0: [wrote(), sent(2)],
        1: [wrote(LATER), sent(2)],
        2: [received(0, 1), received(1, 1), saw(8, 7)],
    },
    "a section sees the one before": {
        0: [(("acquire", "one"), 0), wrote(), (("release", "one"), None)],
        1: [(("acquire", "one"), 1), saw(7, 7), (("release", "one"), None)],
    },
    "a child sees its parent's and is seen after join": {
        0: [wrote(), (("child",), None), (("join", (0, 1)), None), saw(8, 7)],
        (0, 1): [(("begin", (0, 1)), None), saw(7, 7), wrote(LATER)],
    },
}
FORBIDDEN = {
    "what nobody wrote": ("nobody wrote", {0: [saw(9, 0)]}),
    "what was sent is not seen": ("happened before", {0: [wrote(), sent(1)], 1: [received(0, 1), saw(7, 0)]}),
    "what was overwritten": (
        "came between",
        {0: [wrote(), wrote(LATER), sent(1)], 1: [received(0, 2), saw(7, 7)]},
    ),
    "its own write is gone": ("happened before", {0: [wrote(), saw(0, 7)]}),
    "what is not written yet": ("happens after", {0: [saw(7, 7), sent(1)], 1: [received(0, 1), wrote()]}),
    "what was seen is undone": ("had seen", {0: [wrote(), wrote(LATER)], 1: [saw(8, 7), saw(7, 7)]}),
    "an event": ("happened before", {0: [wrote(), (("set", 0), None)], 1: [(("await", 0), True), saw(0, 0)]}),
    "an event that was seen set": (
        "happened before",
        {0: [wrote(), (("set", 0), None)], 1: [(("look", 0), True), saw(0, 0)]},
    ),
    "an event that nobody set": ("nobody set it", {0: [(("look", 0), True)]}),
    "a barrier": ("happened before", {0: [wrote(), (("meet",), None)], 1: [(("meet",), None), saw(0, 0)]}),
    "a semaphore": (
        "happened before",
        {0: [wrote(), (("up", 1), None)], 1: [(("down", 0), None), saw(0, 0)]},
    ),
    "a condition": ("happened before", {0: [wrote(), (("give",), 1)], 1: [(("take", 1), 1), saw(0, 0)]}),
    "a join": (
        "happened before",
        {
            0: [(("child",), None), (("join", (0, 0)), None), saw(0, 0)],
            (0, 0): [(("begin", (0, 0)), None), wrote()],
        },
    ),
    "two sections at once": (
        "were both number 0",
        {at: [(("acquire", "one"), 0), (("release", "one"), None)] for at in range(2)},
    ),
    "a section without the one before": (
        "came without",
        {0: [(("acquire", "one"), 2), (("release", "one"), None)]},
    ),
    "two that were given alike": ("were given as", {at: [(("give",), 1)] for at in range(2)}),
    "a message from nowhere": ("did not", {0: [received(1, 5)], 1: []}),
}


@pytest.mark.parametrize("traces", ALLOWED.values(), ids=ALLOWED.keys())
def test_allows(traces):
    checker.check(traces)


@pytest.mark.parametrize(("what", "traces"), FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_forbids(what, traces):
    with pytest.raises(checker.Violation, match=what):
        checker.check(traces)
