"""A module of the program's that it changes while it runs."""

import contextvars
import enum

CONF = {"a": 1}
COUNTER = 1
TABLE = [1]
LARGE = list(range(300_000))


class Kind(enum.Enum):
    X = 1


_bumped = 0


def bump():
    global _bumped
    _bumped += 1
    return _bumped


def tenth():
    return LARGE[10], len(LARGE)


def create(name, **attributes):
    globals()[name] = type(name, (), {**attributes, "__module__": __name__})


VARIABLE = contextvars.ContextVar("variable", default="default")


def variable():
    return VARIABLE.get()
