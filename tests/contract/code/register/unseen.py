"""Imported and set by one process, used by the child of its child."""

LEVEL = 1
WORDS = {}
LARGE = [0] * 300_000


def setup():
    global LEVEL
    LEVEL = 2
    WORDS["set"] = True
    LARGE[-1] = "set"
