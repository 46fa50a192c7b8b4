"""An answer that tells of a message is late, while another connection has told already that it was sent."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from multiprocessing import connection
from typing import Any, Callable

import pytest

from faults.proxy import Fault, Proxy
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives import starter, watching
from transparent_mp.primitives.connection import Connection, shared_pipe
from transparent_mp.primitives.outstanding import Incoming, Outstanding
from transparent_mp.primitives.waiting import wait
from transparent_mp.primitives.watching import State
from transparent_mp.store.session import OwnedSession

#: Seconds for what is done at once: the end of what hangs.
LIMIT = 60.0


@pytest.fixture
def ends(session: OwnedSession, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Connection, Connection]]:
    monkeypatch.setattr(sessions, "current", lambda: session)
    here, there = shared_pipe()
    yield here, there
    here.close()
    there.close()


@pytest.fixture
def late(
    ends: tuple[Connection, Connection], proxy: Proxy, session: OwnedSession
) -> tuple[Connection, Connection]:
    """The two ends: a message was sent, and no fd tells of it until the store is asked how much there is."""
    here, there = ends
    here.fileno()
    watch = here._shared.watch
    assert watch._state is State.ARMED
    proxy.hold(_port(watch.line.fileno()))
    there.send("sent")
    # It has arrived: this comes after it, and its answer is seen.
    session.store.settle()
    proxy.watch = _until_asked(proxy, here._shared.inbound)
    assert connection.wait([watch.line.fileno()], 0) == []
    return here, there


def _until_asked(proxy: Proxy, key: str) -> Callable[[int, bool, bytes], None]:
    """Lets go of what is held when the store is asked how much is in that list."""

    def look(_port: int, upward: bool, data: bytes) -> None:
        if upward and b"LLEN" in data and key.encode() in data:
            proxy.release()

    return look


def _blocked(session: OwnedSession) -> int:
    clients = session.store.ask("INFO", "clients")
    return int(clients.split(b"blocked_clients:")[1].split()[0])


def _port(fd: int) -> int:
    with socket.socket(fileno=os.dup(fd)) as link:
        return int(link.getsockname()[1])


def test_wait_without_a_time(late: tuple[Connection, Connection]) -> None:
    here, _ = late
    assert wait([here], 0) == [here]
    assert here.recv() == "sent"
    assert wait([here], 0) == []


def test_wait_whose_time_is_over(late: tuple[Connection, Connection]) -> None:
    here, there = late
    # That one has nothing.
    assert wait([there, here], 0.001) == [here]


def test_poll(late: tuple[Connection, Connection]) -> None:
    here, there = late
    assert here.poll(0)
    assert not there.poll(0)
    assert here.recv() == "sent"


def test_poll_whose_time_is_over(late: tuple[Connection, Connection]) -> None:
    here, _ = late
    assert here._shared.watch.wait(0.001)


@pytest.mark.parametrize("timeout", [0, 0.001])
def test_taking_what_is_there(late: tuple[Connection, Connection], timeout: float) -> None:
    here, _ = late
    assert here.take(timeout) is not None
    assert here.take(timeout) is None


def test_an_end_of_a_process_is_told_of_after_what_it_has_sent(
    late: tuple[Connection, Connection], session: OwnedSession
) -> None:
    here, _ = late
    watching.caught_up(session.store)
    assert connection.wait([here._shared.watch.line.fileno()], 0)
    assert here.recv() == "sent"


def test_it_is_told_of_after_that_by_who_has_it_from_the_store(
    late: tuple[Connection, Connection], session: OwnedSession
) -> None:
    here, _ = late
    child = starter.Child("one")
    starting = starter.Starter(session)
    starting._children[17] = child
    starting._on_exit({"pid": 17, "code": 0}, b"")
    assert connection.wait([child.sentinel], 0) == [child.sentinel]
    assert connection.wait([here._handle], 0) == [here._handle]


def test_who_waits_sends_again_what_was_lost_before(
    ends: tuple[Connection, Connection], proxy: Proxy, session: OwnedSession
) -> None:
    here, there = ends
    assert wait([here], 0) == []
    session.store.settle()
    proxy.next(Fault.REQUEST_LOST)
    there.send("sent")
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.extend(wait([here])), daemon=True)
    thread.start()
    thread.join(LIMIT)
    assert found == [here]
    assert here.recv() == "sent"


class Results(Incoming):
    """What an executor waits for."""

    def __init__(self, pop: Outstanding) -> None:
        self._pop = pop

    def fileno(self) -> int:
        return self._pop.fileno()


@pytest.fixture
def pop(ends: tuple[Connection, Connection], session: OwnedSession) -> Iterator[Outstanding]:
    pop = Outstanding(session.store, ends[0]._shared.inbound)
    before, deadline = _blocked(session), time.monotonic() + LIMIT
    pop.fileno()
    # Past the proxy, whose next fault is not for it.
    while _blocked(session) <= before:
        assert time.monotonic() < deadline, "the pop has not come to the store"
    yield pop
    pop.close()


def test_an_end_of_a_process_is_told_of_after_what_a_pop_that_is_outstanding_brings(
    ends: tuple[Connection, Connection], pop: Outstanding, proxy: Proxy, session: OwnedSession
) -> None:
    session.store.settle()
    proxy.hold(_port(pop.fileno()))
    ends[1].send("sent")
    session.store.settle()
    proxy.watch = _until_asked(proxy, pop._line.taken)
    assert pop.silent()
    watching.caught_up(session.store)
    assert not pop.silent()
    assert pop.take()


def test_who_waits_for_what_a_pop_brings_sends_again_what_was_lost_before(
    ends: tuple[Connection, Connection], pop: Outstanding, proxy: Proxy, session: OwnedSession
) -> None:
    results = Results(pop)
    session.store.settle()
    proxy.next(Fault.REQUEST_LOST)
    ends[1].send("sent")
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.extend(wait([results])), daemon=True)
    thread.start()
    thread.join(LIMIT)
    assert found == [results]
    assert pop.take()
