from __future__ import annotations

import multiprocessing as mp
import pickle
import time
from multiprocessing.reduction import ForkingPickler

import pytest

from transparent_mp.primitives import early
from transparent_mp.primitives import session as sessions

SHORT, LONG = 0.05, 20

pytestmark = pytest.mark.usefixtures("ours")


class Pair:
    """The end that stays here, and the one that another process has."""

    def __init__(self, player, pickled):
        self.other = player()
        self.mine, theirs = mp.Pipe()
        self.theirs = self.other(pickle.loads, pickled(theirs, self.other.uid))
        theirs.close()

    def answer(self, *values):
        for value in values:
            self.other(self.theirs.send, value)
        self.other(self.other.session.store.settle)

    def asked(self):
        return self.other(self.theirs.recv)

    @property
    def early(self):
        return self.mine._shared.early

    def learn(self):
        """A question and its answer, after which the next answer is sent for early."""
        self.mine.send("first")
        assert self.asked() == "first"
        self.answer("one")
        assert self.mine.recv() == "one"


@pytest.fixture
def pair(player, pickled):
    pair = Pair(player, pickled)
    pair.learn()
    return pair


@pytest.fixture
def outstanding(pair):
    pair.mine.send("question")
    assert pair.asked() == "question"
    assert pair.early._link is None
    early.send_for_due()
    assert pair.early._link is not None
    return pair


def test_an_answer_is_sent_for_before_it_is_waited_for(outstanding):
    outstanding.answer("answer", "more")
    assert [outstanding.mine.recv() for _ in range(2)] == ["answer", "more"]


def test_answers_of_many_come_side_by_side(player, pickled, own_session, until):
    pairs = [Pair(player, pickled) for _ in range(4)]
    for one in pairs:
        one.learn()
    for one in pairs:
        one.mine.send("question")
    for one in pairs:
        one.asked()
        one.answer("answer")
    assert pairs[0].mine.recv() == "answer"
    until(lambda: all(one.early._link.wait(0) for one in pairs[1:]))
    own_session.store.settle()
    waits = own_session.store.waits
    assert [one.mine.recv() for one in pairs[1:]] == ["answer"] * 3
    assert own_session.store.waits == waits


def test_nothing_is_sent_for_before_an_answer_was_wanted(player, pickled):
    pair = Pair(player, pickled)
    for _ in range(3):
        pair.mine.send("notice")
    early.send_for_due()
    assert pair.early._link is None


def test_a_look_without_waiting_sends_for_nothing(pair):
    pair.mine.send("question")
    assert pair.mine.poll(0) is False
    assert pair.early._link is None
    pair.asked()
    pair.answer("answer")
    assert pair.mine.recv() == "answer"


def test_an_end_that_is_closed_is_due_no_longer(pair):
    pair.mine.send("question")
    assert pair.early in early._due
    pair.mine.close()
    assert not early._due


def test_the_end_that_was_handed_over_is_not_asked_early(outstanding):
    assert outstanding.theirs._shared.early is None


@pytest.mark.parametrize("timeout", [0, SHORT])
def test_poll_sees_what_is_in_the_store(outstanding, timeout):
    assert outstanding.mine.poll(timeout) is False
    outstanding.answer("answer")
    assert outstanding.mine.poll(timeout) is True
    assert outstanding.mine.poll(timeout) is True
    assert outstanding.mine.recv() == "answer"
    assert outstanding.mine.poll(timeout) is False


def test_a_poll_waits_no_longer_than_it_is_told(outstanding):
    begun = time.monotonic()
    assert outstanding.mine.poll(SHORT) is False
    assert SHORT <= time.monotonic() - begun < LONG


def test_what_came_is_left_to_who_is_given_the_end(outstanding, pickled, player, until):
    outstanding.answer("answer", "more")
    until(lambda: outstanding.early._link.wait(0))
    third = player()
    again = third(pickle.loads, pickled(outstanding.mine, third.uid))
    assert outstanding.early._link is None
    assert third(again.recv) == "answer"
    assert outstanding.mine.recv() == "more"


def test_what_came_is_shown_by_the_fd(outstanding, until):
    outstanding.answer("answer")
    until(lambda: outstanding.early._link.wait(0))
    assert mp.connection.wait([outstanding.mine], LONG) == [outstanding.mine]
    assert outstanding.mine.recv() == "answer"
    assert mp.connection.wait([outstanding.mine], 0) == []


def test_the_end_of_the_other_side_is_an_end_each_time(outstanding):
    outstanding.other(outstanding.theirs.close)
    for _ in range(2):
        with pytest.raises(EOFError):
            outstanding.mine.recv()
    assert outstanding.mine.poll()


def test_a_closed_end_waits_for_nothing(outstanding, blocked, until):
    before = blocked.count()
    outstanding.mine.close()
    until(lambda: blocked.count() == before - 1)


def test_threads_that_read_one_end_get_each_message_once(outstanding, waiting):
    found = [waiting(outstanding.mine.recv) for _ in range(3)]
    outstanding.mine.send("again")
    outstanding.answer(1, 2, 3, 4)
    assert sorted([*(one.result(LONG) for one in found), outstanding.mine.recv()]) == [1, 2, 3, 4]


def test_a_fork_leaves_it_to_the_parent(outstanding, monkeypatch):
    monkeypatch.setattr(outstanding.early, "_pid", -1)
    assert not outstanding.early.take(None, [])


@pytest.mark.parametrize("how", [lambda pair: pair.early.give("another"), lambda pair: pair.early.close()])
def test_an_end_that_goes_away_while_its_answer_is_sent_for(pair, monkeypatch, how):
    store = sessions.current().store
    watch = store.watch

    def meanwhile():
        monkeypatch.undo()
        how(pair)
        return watch()

    pair.mine.send("question")
    monkeypatch.setattr(store, "watch", meanwhile)
    early.send_for_due()
    assert store.watch == watch
    assert pair.early._link is None
    assert pair.asked() == "question"
    pair.answer("answer")
    assert pair.mine.recv() == "answer"


def ask_often(pair):
    """Questions, more than it takes until the store is asked who has the end."""
    for turn in range(5):
        pair.mine.send(turn)
        assert pair.asked() == turn
        pair.answer(turn)
        assert pair.mine.recv() == turn
        sessions.current().store.settle()
    pair.mine.send("question")
    early.send_for_due()


def test_an_end_that_a_process_was_given_and_has_closed_is_asked_early_again(pair, pickled):
    again = pair.other(pickle.loads, pickled(pair.mine, pair.other.uid))
    pair.other(again.close)
    pair.other(pair.other.session.store.settle)
    ask_often(pair)
    assert pair.early._link is not None


def test_an_end_that_a_process_has_is_left_to_it(pair, pickled):
    again = pair.other(pickle.loads, pickled(pair.mine, pair.other.uid))
    ask_often(pair)
    assert pair.early._link is None
    pair.answer("theirs")
    assert pair.other(again.recv) == "theirs"


def test_an_end_that_is_about_to_be_had_is_left_to_who_will(pair, pickled, player):
    bytes_ = pickled(pair.mine, (third := player()).uid)
    ask_often(pair)
    assert pair.early._link is None
    pair.answer("theirs")
    assert third(third(pickle.loads, bytes_).recv) == "theirs"


def test_an_end_that_was_in_a_message_is_not_asked_early(pair):
    # It comes back here, where it is one more end of the same holder.
    again = pickle.loads(ForkingPickler.dumps(pair.mine))
    ask_often(pair)
    assert pair.early._link is None
    again.close()


def test_many_rounds(pair):
    def serve():
        while True:
            question = pair.theirs.recv()
            if question is None:
                return
            pair.theirs.send(question * 2)

    served = pair.other.begin(serve)
    for turn in range(300):
        pair.mine.send(turn)
        if turn % 3 == 0:
            assert pair.mine.poll(LONG)
        assert pair.mine.recv() == 2 * turn
    pair.mine.send(None)
    served.result(LONG)


def test_an_answer_is_left_by_a_wait_that_a_signal_handler_ends_with_an_os_error(outstanding, monkeypatch):
    def handler(*_):
        raise TimeoutError("too late")

    outstanding.answer("an answer")
    assert outstanding.early._link.wait(LONG)
    monkeypatch.setattr(outstanding.early._store, "finish", handler)
    with pytest.raises(TimeoutError, match="too late"):
        outstanding.mine.recv()
    monkeypatch.undo()
    assert outstanding.mine.poll(LONG)
    assert outstanding.mine.recv() == "an answer"
