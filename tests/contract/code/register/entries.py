"""Registers its own."""

from register import book, unit
from register.book import BOOK, entry

TWICE = unit.UNIT * 2


@entry("first")
def first():
    return TWICE


@entry("second")
class Second:
    pass


def play(queue):
    same = BOOK is book.BOOK, BOOK["first"] is first, type(BOOK["made"]) is Second
    queue.put((sorted(BOOK), *same, first(), unit.UNIT))
