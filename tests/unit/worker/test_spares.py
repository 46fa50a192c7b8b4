from __future__ import annotations

from typing import Any

import pytest

from transparent_mp.worker.spares import MOST, ROW, Spares


class FakeRunning:
    def __init__(self, like: str = "") -> None:
        self.like = like
        self.child = id(self)
        self.closed = False

    def close(self) -> None:
        self.closed = True


class FakeTemplate:
    def __init__(self, like: str, frame: bytes) -> None:
        self.like = like
        self.frame = frame
        self.is_ready = self.forks = True
        self.closed = False
        self.ordered: FakeRunning | None = None

    def ready(self) -> bool:
        return self.is_ready

    def fork(self) -> FakeRunning | None:
        assert self.ordered is None
        return FakeRunning(self.like) if self.forks else None

    def order(self) -> FakeRunning | None:
        assert self.ordered is None
        self.ordered = self.fork()
        return self.ordered

    def arrived(self, running: FakeRunning) -> bool:
        assert running is self.ordered
        self.ordered = None
        return self.forks

    def close(self) -> None:
        self.closed = True


class Made:
    """Spares, and the templates that were begun for them."""

    def __init__(self) -> None:
        self.templates: list[FakeTemplate] = []
        self.spares: Any = Spares(FakeRunning, self.begin)  # type: ignore[arg-type]

    def begin(self, like: str, frame: bytes) -> Any:
        self.templates.append(FakeTemplate(like, frame))
        return self.templates[-1]

    def run(self, like: str, times: int = 1) -> FakeRunning:
        """As many processes, with time after each; the child of the last."""
        for _ in range(times):
            taken = self.spares.take(like, b"frame of " + like.encode())
            self.idle()
        return taken  # type: ignore[no-any-return]

    def idle(self) -> None:
        self.spares.prepare()
        while self.spares.prepare():
            pass
        self.spares.settle()

    def burst(self, like: str, count: int) -> list[str]:
        """As many processes at once, and time when all have ended; what their children were forked for."""
        found = [self.spares.take(like, b"").like for _ in range(count)]
        self.spares.none_is_running()
        self.idle()
        return found

    def ahead(self) -> list[str]:
        """What those were forked for that are there ahead."""
        return [spare.like for spare in self.spares._spares]


@pytest.fixture
def made() -> Made:
    return Made()


def test_the_child_that_was_forked_ahead_is_taken(made: Made) -> None:
    made.spares.prepare()
    (ahead,) = made.spares._spares
    assert made.spares.take("", b"") is ahead
    assert made.spares.take("", b"") is not ahead


def test_a_template_is_made_when_processes_in_a_row_are_alike(made: Made) -> None:
    made.run("a", ROW - 1)
    assert made.templates == []
    made.run("a")
    (template,) = made.templates
    assert (template.like, template.frame) == ("a", b"frame of a")
    made.run("a")
    assert made.run("a").like == "a"
    assert len(made.templates) == 1


def test_none_for_processes_that_are_like_no_other(made: Made) -> None:
    made.run("", 3 * ROW)
    assert made.templates == []


def test_none_where_others_come_in_between(made: Made) -> None:
    for _ in range(ROW):
        made.run("a")
        made.run("b")
    assert made.templates == []


def test_another_process_gets_a_child_that_is_ready_for_any(made: Made) -> None:
    made.run("a", ROW + 2)
    (ahead,) = made.spares._spares
    assert ahead.like == "a"
    assert made.run("b").like == ""
    assert ahead.closed
    # And the next one is not waited for in vain.
    assert [spare.like for spare in made.spares._spares] == [""]


@pytest.mark.parametrize("what", ["is_ready", "forks"])
def test_a_template_that_does_not_fork_is_done_without(made: Made, what: str) -> None:
    made.run("a", ROW)
    setattr(made.templates[0], what, False)
    assert made.run("a", 3).like == ""
    assert len(made.templates) == 1


def test_a_template_makes_room_for_the_next(made: Made) -> None:
    made.run("a", ROW)
    made.run("b", ROW)
    assert [template.like for template in made.templates] == ["a", "b"]
    assert [template.closed for template in made.templates] == [True, False]


def test_what_lacks_something_is_dropped_and_made_again(made: Made) -> None:
    made.run("a", ROW + 2)
    (ahead,) = made.spares._spares
    made.spares.drop()
    assert ahead.closed
    assert made.templates[0].closed
    made.run("a", 2)
    assert len(made.templates) == 2


def test_another_template_is_made_of_a_process_that_comes(made: Made) -> None:
    made.run("a", ROW + 2)
    made.spares.drop()
    # There is time, and nothing to make it of.
    made.idle()
    assert len(made.templates) == 1
    made.run("a")
    assert [one.frame for one in made.templates] == [b"frame of a"] * 2


def test_a_spare_that_has_ended_is_replaced(made: Made) -> None:
    made.spares.prepare()
    (ahead,) = made.spares._spares
    made.spares.ended([ahead.child])
    assert ahead.closed
    assert made.spares.take("", b"") is not ahead


def ordered(made: Made) -> FakeRunning:
    """A copy that was ordered and may not be there yet."""
    made.run("a", ROW + 1)
    made.spares.take("a", b"")
    made.spares.prepare()
    coming = made.templates[0].ordered
    assert coming is not None
    return coming


def test_nobody_waits_for_a_template_s_fork_before_it_is_wanted(made: Made) -> None:
    coming = ordered(made)
    made.spares.prepare()
    assert made.templates[0].ordered is coming
    assert made.spares.take("a", b"") is coming


def test_one_that_does_not_come_is_done_without(made: Made) -> None:
    coming = ordered(made)
    made.templates[0].forks = False
    taken = made.spares.take("a", b"")
    assert taken is not coming
    assert taken.like == ""


def test_one_that_was_ordered_is_known_before_the_ends_of_children_are(made: Made) -> None:
    coming = ordered(made)
    made.spares.settle()
    made.spares.ended([coming.child])
    assert coming.closed


def test_what_was_ordered_is_dropped_with_the_others(made: Made) -> None:
    coming = ordered(made)
    made.spares.drop()
    assert coming.closed
    assert made.templates[0].closed


def test_as_many_are_forked_ahead_as_came_at_once(made: Made) -> None:
    made.run("a", ROW)
    made.spares.none_is_running()
    made.burst("a", 4)
    spares = list(made.spares._spares)
    assert made.ahead() == ["a"] * 4
    assert made.burst("a", 4) == ["a"] * 4
    # They were taken, and others are there.
    assert made.ahead() == ["a"] * 4
    assert not set(map(id, spares)) & set(map(id, made.spares._spares))


def test_not_while_some_of_them_are_running(made: Made) -> None:
    made.run("a", ROW + 5)
    assert made.ahead() == ["a"]


def test_there_is_a_limit(made: Made) -> None:
    made.run("a", ROW)
    made.burst("a", 2 * MOST)
    assert made.ahead() == ["a"] * MOST


def test_as_many_as_the_last_time_only(made: Made) -> None:
    made.run("a", ROW)
    made.spares.none_is_running()
    made.burst("a", 3)
    made.burst("a", 1)
    # Those that are there stay.
    assert made.ahead() == ["a"] * 2
    made.burst("a", 1)
    assert made.ahead() == ["a"]
    made.burst("a", 1)
    assert made.ahead() == ["a"]


def test_for_others_one_is_enough(made: Made) -> None:
    made.run("a", ROW)
    made.burst("a", 4)
    ahead = list(made.spares._spares)
    assert made.run("b").like == ""
    assert all(spare.closed for spare in ahead)
    assert made.ahead() == [""]
    made.burst("", 4)
    assert made.ahead() == [""]


def test_where_no_more_can_be_forked_there_are_fewer(made: Made) -> None:
    made.run("a", ROW)
    made.spares.take("a", b"")
    made.spares.take("a", b"")
    made.spares.none_is_running()
    made.templates[0].forks = False
    made.idle()
    assert made.ahead() == [""]


def test_who_is_at_hand_is_taken_while_another_is_on_its_way(made: Made) -> None:
    made.run("a", ROW)
    made.burst("a", 3)
    made.spares.take("a", b"")
    assert not made.spares.prepare()
    coming = made.templates[0].ordered
    assert coming is not None
    assert made.spares.take("a", b"") is not coming
    assert made.templates[0].ordered is coming


def test_one_on_its_way_is_not_for_others_either(made: Made) -> None:
    made.run("a", ROW)
    made.burst("a", 3)
    made.spares.take("a", b"")
    made.spares.prepare()
    coming = made.templates[0].ordered
    assert coming is not None
    ahead = list(made.spares._spares)
    assert made.run("b").like == ""
    assert coming.closed
    assert all(spare.closed for spare in ahead)
    # What there is now is for the next of these.
    assert made.ahead() == [""]


def test_one_for_any_process_is_taken_when_there_is_no_other(made: Made) -> None:
    made.spares.prepare()
    (any_,) = made.spares._spares
    made.spares._spares.append(FakeRunning("a"))
    assert made.spares.take("a", b"").like == "a"
    assert made.spares.take("a", b"") is any_
