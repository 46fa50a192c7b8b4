"""What is done through a connection that is cut at any moment is done once, and in order."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any, Callable

import pytest

from faults.proxy import Fault, Proxy, Seeded
from transparent_mp.config import Config
from transparent_mp.store.scripts import script
from transparent_mp.store.session import OwnedSession, Session, join, new_id

#: Seconds for what is done in a few: the end of what hangs.
LIMIT = 60.0
END = b"end"


def member(session: OwnedSession) -> Session:
    """Another process of the session, here a thread of its own."""
    return join(session.ticket(), new_id(), Config())


def together(*bodies: Callable[[], None]) -> None:
    """Run them side by side; raises what one of them raises."""
    raised: list[BaseException] = []

    def run(body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(body,), daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    if raised:
        raise raised[0]
    assert not [thread for thread in threads if thread.is_alive()], "it hangs"


class Objects:
    """A queue, a lock over a number, and a counter, as the primitives' commands make them."""

    def __init__(self, session: OwnedSession) -> None:
        keys = session.keys
        self.ttl = session.ttl
        self.holders, self.queue, self.tokens = (keys.object("o", part) for part in ("h0", "q0", "q1"))
        self.number, self.counter = keys.object("o", "v"), keys.object("o", "g")
        session.store.call(("SADD", self.holders, "someone"), ("RPUSH", self.tokens, "1"))

    def put(self, at: Session, *messages: Any) -> None:
        at.store.cast(script("push", (self.holders, self.queue), (self.ttl, *messages)))

    def get(self, at: Session, timeout: float | None = None) -> Any:
        if timeout == 0:
            return at.store.ask("LPOP", self.queue)
        found = at.store.pop(self.queue, timeout, [("EXISTS", self.holders)])
        return None if found is None else found[0]

    def add(self, at: Session) -> None:
        _token, number = at.store.pop(self.tokens, None, [("HGET", self.number, "n")]) or ()
        at.store.cast(("HSET", self.number, "n", int(number or 0) + 1))
        at.store.cast(script("release", (self.holders, self.tokens), (1, self.ttl)))

    def count(self, at: Session) -> int:
        return int(at.store.ask("INCR", self.counter))


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_doubled_or_reordered(session: OwnedSession, proxy: Proxy, seed: int) -> None:
    objects = Objects(session)
    members = [member(session) for _ in range(4)]
    got: list[list[bytes]] = [[], []]
    counted: list[int] = []
    proxy.stall = 0.01

    def produce(who: int) -> None:
        for number in range(300):
            # Some of them are large.
            objects.put(
                members[who], b"%d %d %s" % (who, number, b"x" * (100_000 if number % 50 == 0 else 0))
            )
            if number % 4 == 0:
                counted.append(objects.count(members[who]))
        objects.put(members[who], END)
        members[who].store.settle()

    def consume(who: int) -> None:
        for turn in range(10_000):
            # Waited for, looked for, and waited for a moment.
            message = objects.get(members[2 + who], (None, 0, 0.002)[turn % 3])
            if message == END:
                # What it added last is there when it is counted.
                members[2 + who].store.settle()
                return
            if message is not None:
                got[who].append(message)
                if len(got[who]) % 4 == 0:
                    objects.add(members[2 + who])

    proxy.plan = Seeded(seed, rate=0.02)
    together(*(partial(body, who) for body in (produce, consume) for who in range(2)))
    proxy.plan = None
    every = [tuple(map(int, message.split(b" ")[:2])) for one in got for message in one]
    assert sorted(every) == [(who, number) for who in range(2) for number in range(300)]
    for one in got:
        mine = [tuple(map(int, message.split(b" ")[:2])) for message in one]
        for who in range(2):
            numbers = [number for sender, number in mine if sender == who]
            assert numbers == sorted(numbers)
    assert sorted(counted) == list(range(1, 151))
    assert int(session.store.ask("HGET", objects.number, "n")) == sum(len(one) // 4 for one in got)
    # Faults there were, of most kinds.
    assert sum(proxy.happened.values()) > 20
    for one in members:
        one.store.close()


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.value.replace(" ", "-"))
@pytest.mark.parametrize("operation", ["put", "count", "get", "note", "look", "add"])
def test_one_operation_and_one_fault(
    session: OwnedSession, proxy: Proxy, fault: Fault, operation: str
) -> None:
    objects, one = Objects(session), member(session)
    for number in range(3):
        objects.put(one, b"%d" % number)
    assert objects.get(one) == b"0"
    one.store.settle()
    # Its lines are there; it is the request of this operation that suffers, or its reply.
    proxy.next(fault)
    if operation == "put":
        objects.put(one, b"3")
        one.store.settle()
    elif operation == "count":
        assert objects.count(one) == 1
    elif operation == "get":
        assert objects.get(one) == b"1"
    elif operation == "note":
        assert one.store.pop(objects.queue, None, [("INCR", objects.counter)]) == [b"1", 1]
    elif operation == "look":
        assert objects.get(one, 0) == b"1"
    else:
        objects.add(one)
        one.store.settle()
    assert proxy.happened[fault] == 1
    left = [b"1", b"2", b"3"][operation in ("get", "note", "look") : 3 if operation == "put" else 2]
    assert session.store.ask("LRANGE", objects.queue, 0, -1) == left
    assert session.store.ask("GET", objects.counter) == (b"1" if operation in ("count", "note") else None)
    assert session.store.ask("HGET", objects.number, "n") == (b"1" if operation == "add" else None)
    assert session.store.ask("LLEN", objects.tokens) == 1
    one.store.close()
