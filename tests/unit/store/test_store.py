from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from typing import Any

import pytest

from transparent_mp.errors import StoreError, StoreReplyError
from transparent_mp.store.pops import PopLine
from transparent_mp.store.session import OwnedSession
from transparent_mp.store.store import OWED_MAX, Store


@pytest.fixture
def store(session: OwnedSession) -> Store:
    return session.store


def test_casts_arrive_in_order_and_are_not_waited_for(store: Store) -> None:
    waits, seen = store.waits, []
    for number in range(3):
        store.cast(("RPUSH", "list", number), on_reply=seen.append)
    assert store.waits == waits
    assert store.call(("LRANGE", "list", 0, -1), ("LLEN", "list")) == [[b"0", b"1", b"2"], 3]
    assert (store.waits, seen) == (waits + 1, [1, 2, 3])


def test_more_casts_than_are_left_unread(store: Store) -> None:
    for _ in range(OWED_MAX * 2):
        store.cast(("INCR", "counter"))
    assert len(store._line.kept) <= OWED_MAX
    assert store.ask("GET", "counter") == str(OWED_MAX * 2).encode()


def test_an_error_of_a_cast_is_raised_by_the_next_command_once(store: Store) -> None:
    store.cast(("SET", "text", "x"))
    store.cast(("RPUSH", "text", "y"))
    with pytest.raises(StoreReplyError, match="WRONGTYPE"):
        store.settle()
    assert store.ask("GET", "text") == b"x"


def test_an_error_of_a_cast_is_raised_though_somebody_is_told_of_its_reply(store: Store) -> None:
    store.call(("SET", "text", "x"))
    told: list[object] = []
    store.cast(("RPUSH", "text", "y"), on_reply=told.append)
    with pytest.raises(StoreReplyError, match="WRONGTYPE"):
        store.settle()
    assert ["WRONGTYPE" in str(reply) for reply in told] == [True]
    store.settle()


def test_an_error_of_a_call_is_raised_after_all_replies_are_read(store: Store) -> None:
    with pytest.raises(StoreReplyError):
        store.call(("SET", "text", "x"), ("INCR", "text"), ("SET", "text", "z"))
    assert store.ask("GET", "text") == b"z"


def test_who_insists_has_the_answer_or_the_error(store: Store) -> None:
    store.cast(("SET", "text", "x"))
    waits = store.waits
    assert store.insist(("GET", "text"), 60) == b"x"
    assert store.waits == waits + 1
    with pytest.raises(StoreReplyError, match="not an integer"):
        store.insist(("INCR", "text"), 60)
    store.cast(("RPUSH", "text", "y"))
    with pytest.raises(StoreReplyError, match="WRONGTYPE"):
        store.insist(("GET", "text"), 60)


def test_pop(store: Store) -> None:
    assert store.pop("list", 0.01) is None
    store.cast(("RPUSH", "list", "a", "b"))
    store.settle()
    assert store.pop("list", 5, [("LLEN", "list")]) == [b"a", 1]
    assert store.pop("list") == [b"b"]


def test_a_pop_that_an_exception_ends_takes_nothing(store: Store) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(KeyboardInterrupt):
            store.pop("list")
    finally:
        signal.signal(signal.SIGALRM, before)
    store.call(("RPUSH", "list", "there"))
    assert store.pop("list", 5) == [b"there"]


def test_what_is_put_back_is_there_before_the_next_pop_is_sent(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes back on another link, and which of two a server reads first nobody knows."""
    on_its_way: list[int] = []
    stock = PopLine.pop

    def pop(line: PopLine, *args: Any) -> None:
        assert store._line is not None
        on_its_way.append(len(store._line.kept) + len(store._later))
        stock(line, *args)

    monkeypatch.setattr(PopLine, "pop", pop)
    store.call(("RPUSH", "list", "a", "b", "c"))
    store.restore("list", store.pop("list") or ())
    assert store.pop("list") == [b"a"]
    with monkeypatch.context() as patch:
        # Another thread is in the middle of something: it will send it.
        patch.setattr(store, "_flush", lambda: None)
        store.restore("list", [b"a"])
        assert len(store._later) == 1
    assert store.pop("list") == [b"a"]
    waits = store.waits
    assert store.pop("list") == [b"b"]
    assert store.waits == waits + 1
    assert on_its_way == [0, 0, 0, 0]


def test_a_pop_without_its_own_list_raises(store: Store) -> None:
    store.call(("SET", "text", "x"))
    with pytest.raises(StoreReplyError, match="WRONGTYPE"):
        store.pop("text", 5)


def test_a_closed_store_says_so_and_finalisers_keep_silent(store: Store) -> None:
    other = Store(store._connect)
    other.close()
    other.soon(("PING",))
    with pytest.raises(StoreError, match="has left its session"):
        other.ask("PING")


def test_a_line_that_comes_back_when_the_store_is_closed_is_ended(store: Store) -> None:
    """Its thread was taking something while another left the session."""
    line = store.watch()
    line.pop("popped")
    store.cast(("RPUSH", "popped", "x"))
    store.finish(line, 20)
    assert line.answers() == [b"x"]
    store.close()
    store.unwatch(line)
    assert line.link is None


def test_without_a_session_a_lost_connection_is_made_anew_for_the_next_command(store: Store) -> None:
    other = Store(store._connect)
    number = other.ask("CLIENT", "ID")
    store.ask("CLIENT", "KILL", "ID", number)
    with pytest.raises(StoreError, match="lost the connection"):
        other.ask("PING")
    assert other.ask("PING") == b"PONG"
    other.close()


def test_what_a_finaliser_sends_goes_before_what_its_thread_sends_next(store: Store) -> None:
    held, over = threading.Event(), threading.Event()

    def exchange() -> None:
        # As a thread does that waits for an answer: it looks for what is to be sent when it has let go.
        with store._lock:
            held.set()
            over.wait()

    thread = threading.Thread(target=exchange)
    thread.start()
    held.wait()
    store.soon(("RPUSH", "order", "finaliser"))
    over.set()
    thread.join()
    store.cast(("RPUSH", "order", "next"))
    assert store.ask("LRANGE", "order", 0, -1) == [b"finaliser", b"next"]
    store.ask("DEL", "order")


def test_the_child_of_a_fork_forgets_the_links_quietly_and_the_parent_keeps_them(store: Store) -> None:
    store.cast(("RPUSH", "list", "one"))
    assert store.pop("list") == [b"one"]
    child = os.fork()
    if child == 0:
        complaints: list[object] = []
        sys.unraisablehook = complaints.append
        store.reset()
        gc.collect()
        os._exit(0 if store.ask("PING") == b"PONG" and not complaints else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.cast(("RPUSH", "list", "two"))
    assert store.pop("list") == [b"two"]


def test_what_comes_before_that_in_the_child_of_a_fork_does_not_shift_the_parent_s_answers(
    store: Store,
) -> None:
    assert store.ask("INCR", "number") == 1
    watched = store.watch()
    watched.pop("list")
    child = os.fork()
    if child == 0:
        # A finaliser's, which is the parent's; a retired line's, too; and what anybody asks.
        store.soon(("INCR", "number"))
        store.retire(watched)
        os._exit(0 if store.ask("INCR", "number") == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.cast(("RPUSH", "list", "one"))
    assert store.ask("ECHO", "mine") == b"mine"
    assert store.ask("GET", "number") == b"2"
    store.finish(watched, None)
    assert watched.answers() == [b"one"]
    store.unwatch(watched)
    store.ask("DEL", "number")
