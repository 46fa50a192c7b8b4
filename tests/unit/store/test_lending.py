from __future__ import annotations

from transparent_mp.store.lending import PopLines


class Link:
    usable = True

    def __init__(self, story):
        self._story = story

    def close(self):
        self._story.append("closed")
        self.usable = False

    def drop(self):
        self._story.append("dropped")


def lines_of(story):
    def dial(line):
        line.link = Link(story)

    return PopLines(dial)


def test_one_that_came_back_is_lent_again_if_it_is_usable():
    story, checks = [], []
    lines = lines_of(story)
    first = lines.lend(lambda: checks.append(1))
    second = lines.lend(lambda: checks.append(2))
    assert first is not second
    lines.take_back(first)
    assert lines.lend(lambda: checks.append(3)) is first
    first.link.usable = False
    lines.take_back(first)
    third = lines.lend(lambda: checks.append(4))
    assert third is not first
    assert (checks, story) == ([1, 2, 4], ["closed"])


def test_after_the_end_each_that_comes_back_is_ended():
    """Its thread was taking something while another left the session."""
    story = []
    lines = lines_of(story)
    here, away = lines.lend(int), lines.lend(int)
    lines.take_back(here)
    lines.close()
    assert story == ["closed"]
    lines.take_back(away)
    assert (story, here.link, away.link) == (["closed", "closed"], None, None)


def test_in_the_child_of_a_fork_nothing_is_ended():
    story = []
    lines = lines_of(story)
    lines.take_back(lines.lend(int))
    lines.drop()
    assert story == ["dropped"]
