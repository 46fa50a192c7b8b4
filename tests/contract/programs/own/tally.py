"""A module with state of its own: some is changed before processes start, and some in each of them."""

import random

settings = {"step": 1}
seen = []
_drawn = random.random()
_cells = [None]


def note(what):
    """What was noted in this process, and by whom it was started."""
    seen.append(what)
    _cells[0] = _cells[0] or what
    return list(seen), _cells[0], settings["step"]


class Counter:
    made = 0

    def __init__(self):
        type(self).made += 1
