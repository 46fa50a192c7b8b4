from __future__ import annotations

import gc
import os
import threading

import pytest

from transparent_mp.primitives import sharing
from transparent_mp.store.session import new_id

LONG = 20


def holders(session, hold):
    return {
        name.decode()
        for name in session.store.ask("SMEMBERS", session.keys.object(hold.oid, f"h{hold.side}"))
    }


def held(session, uid):
    return {name.decode() for name in session.store.ask("SMEMBERS", session.keys("holds", uid))}


def keys_of(session, oid):
    return session.store.ask("KEYS", session.keys.object_base(oid) + "*")


def inbox(session, hold):
    return session.store.ask("LRANGE", session.keys.object(hold.oid, f"q{hold.side}"), 0, -1)


def test_an_object_is_held_on_every_side_by_who_makes_it(own_session):
    one, two = sharing.create(own_session, 2)
    assert (one.oid, one.side, two.side) == (two.oid, 0, 1)
    for hold in (one, two):
        assert holders(own_session, hold) == {own_session.uid}
    assert held(own_session, own_session.uid) >= {f"{one.oid} 0", f"{one.oid} 1"}
    assert own_session.store.ask("SISMEMBER", own_session.keys("objects"), one.oid) == 1
    assert own_session.store.ask(
        "SISMEMBER", own_session.keys("keys"), own_session.keys("holds", own_session.uid)
    )


def test_its_keys_expire_when_the_session_is_gone(own_session):
    (hold,) = sharing.create(own_session)
    for key in (own_session.keys.object(hold.oid, "h0"), own_session.keys("holds", own_session.uid)):
        assert 0 < own_session.store.ask("PTTL", key) <= own_session.ttl


def test_objects_of_one_process_share_one_hold(own_session):
    (hold,) = sharing.create(own_session)
    assert sharing.take(own_session, hold.oid) is hold
    again = sharing.take(own_session, hold.oid)
    del hold
    assert holders(own_session, again) == {own_session.uid}


def test_the_last_drop_deletes_every_key(own_session):
    one, two = sharing.create(own_session, 2)
    oid = one.oid
    own_session.store.cast(*(("RPUSH", own_session.keys.object(oid, part), "x") for part in ("q0", "q1")))
    own_session.store.cast(*(("HSET", own_session.keys.object(oid, part), "x", "x") for part in ("d", "v")))
    own_session.store.cast(("ZADD", own_session.keys.object(oid, "g"), 1, "x"))
    del one
    assert keys_of(own_session, oid)
    del two
    assert keys_of(own_session, oid) == []
    assert own_session.store.ask("SISMEMBER", own_session.keys("objects"), oid) == 0
    assert not {f"{oid} 0", f"{oid} 1"} & held(own_session, own_session.uid)


def test_the_other_side_is_told_once_and_what_nobody_reads_is_gone(own_session):
    one, two = sharing.create(own_session, 2)
    own_session.store.cast(("RPUSH", own_session.keys.object(one.oid, "q0"), "never read"))
    own_session.store.cast(("RPUSH", own_session.keys.object(one.oid, "q1"), "to be read"))
    oid = one.oid
    del one
    assert inbox(own_session, two) == [b"to be read", b""]
    assert own_session.store.ask("EXISTS", own_session.keys.object(oid, "q0")) == 0


def test_a_token_holds_until_the_receivers_hold_replaces_it(own_session, player):
    (hold,) = sharing.create(own_session)
    other = player()
    token = sharing.hand_over(own_session, hold, None)
    assert holders(own_session, hold) == {own_session.uid, token}
    assert held(own_session, token) == {f"{hold.oid} 0"}
    theirs = other(sharing.take, other.session, hold.oid, 0, token)
    other(other.session.store.settle)
    assert holders(own_session, hold) == {own_session.uid, other.uid}
    assert sharing.hand_over(own_session, hold, None) != token
    assert theirs.oid == hold.oid


def test_a_token_that_was_replaced_leaves_no_key(own_session, player):
    (hold,) = sharing.create(own_session)
    other = player()
    for has_it in (False, True):
        token = sharing.hand_over(own_session, hold, None)
        theirs = other(sharing.take, other.session, hold.oid, 0, token)
        other(other.session.store.settle)
        assert held(own_session, token) == set()
        registered = own_session.store.ask(
            "SISMEMBER", own_session.keys("keys"), own_session.keys("holds", token)
        )
        assert registered == 0, has_it
    assert theirs.oid == hold.oid


def test_a_message_that_nobody_will_read_lets_go_of_what_it_holds(own_session):
    carrier, other_side = sharing.create(own_session, 2)
    one, two = sharing.create(own_session, 2)
    oid = carrier.oid
    token = sharing.hand_over(own_session, one, None)
    del one
    assert sharing.carriage(own_session, oid) != ()
    own_session.store.call(*sharing.carrier(own_session, oid))
    own_session.store.cast(("RPUSH", own_session.keys.object(oid, "q0"), "a message with " + token))
    assert inbox(own_session, two) == []
    del carrier
    assert inbox(own_session, two) == [b""]
    assert sharing.carriage(own_session, oid) == ()
    del other_side
    assert own_session.store.ask("SISMEMBER", own_session.keys("carriers"), oid) == 0


def test_an_end_that_lies_in_its_own_pipe_is_let_go_of_with_it(own_session):
    one, two = sharing.create(own_session, 2)
    oid = one.oid
    own_session.store.call(*sharing.carrier(own_session, oid))
    for hold in (one, two):
        token = sharing.hand_over(own_session, hold, None)
        own_session.store.cast(("RPUSH", own_session.keys.object(oid, "q0"), token))
    del hold, one, two
    own_session.store.settle()
    # Each side is held by a message that only a holder of side 0 could read.
    assert keys_of(own_session, oid)
    sharing.take(
        own_session, oid, 0, own_session.store.ask("LPOP", own_session.keys.object(oid, "q0")).decode()
    )
    assert keys_of(own_session, oid) == []


def test_a_token_for_a_side_that_the_receiver_has_is_dropped(own_session):
    (hold,) = sharing.create(own_session)
    token = sharing.hand_over(own_session, hold, None)
    assert sharing.take(own_session, hold.oid, 0, token) is hold
    assert holders(own_session, hold) == {own_session.uid}


def test_a_process_being_started_holds_under_its_own_name(own_session):
    (hold,) = sharing.create(own_session)
    child = new_id()
    assert sharing.hand_over(own_session, hold, child) == ""
    assert holders(own_session, hold) == {own_session.uid, child}
    oid, side = hold.oid, hold.side
    del hold
    assert keys_of(own_session, oid)
    assert held(own_session, child) == {f"{oid} {side}"}


def test_a_side_that_is_gone_does_not_come_back(own_session, player):
    one, two = sharing.create(own_session, 2)
    other = player()
    oid = two.oid
    del two
    own_session.store.settle()
    again = other(sharing.take, other.session, oid, 1)
    other(other.session.store.settle)
    assert keys_of(own_session, oid) != []
    assert own_session.store.ask("EXISTS", own_session.keys.object(oid, "h1")) == 0
    assert again.side == 1
    assert one.oid == oid


def test_what_an_ended_process_held_is_dropped(own_session):
    one, two = sharing.create(own_session, 2)
    child, oid = new_id(), one.oid
    sharing.hand_over(own_session, one, child)
    del one
    assert inbox(own_session, two) == []
    keys = own_session.keys
    process = keys("process", 7_000_000)
    own_session.store.cast(("HSET", process, "uid", child, "parent", "nobody", "name", "n", "worker", "w"))
    args = (keys.base, keys.any_object, 7_000_000, 0, own_session.ttl, "w")
    ended = own_session.script("exited", ("workers", "ready", "objects", "keys"), args)
    assert own_session.store.ask(*ended) == 1
    assert own_session.store.ask(*ended) == 0
    assert inbox(own_session, two) == [b""]
    assert held(own_session, child) == set()
    assert own_session.store.ask("EXISTS", keys.object(oid, "h0"), keys("holds", child), process) == 0


def test_a_hold_that_is_collected_in_the_middle_of_a_command_is_dropped(own_session):
    one, two = sharing.create(own_session, 2)
    cycle = [one]
    cycle.append(cycle)

    class Argument(str):
        """Is measured with the link in hand; collects then."""

        def __len__(self):
            gc.collect()
            return 1

    del one, cycle
    own_session.store.call(("ECHO", Argument("x")))
    assert inbox(own_session, two) == [b""]


def test_many_threads_end_and_begin_holds(own_session, player):
    one, two = sharing.create(own_session, 2)
    other = player()
    oid = one.oid
    del one

    def use(hold):
        def again():
            for _ in range(200):
                sharing.take(own_session, oid, 1)

        threads = [threading.Thread(target=again) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
        return hold

    use(two)
    assert holders(own_session, two) == {own_session.uid}
    assert other.uid


def test_without_a_session_a_hold_just_goes(own_session):
    from transparent_mp.primitives import session as sessions

    (hold,) = sharing.create(own_session)
    sessions.attach(None)
    try:
        del hold
    finally:
        sessions.attach(own_session)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_holds_what_it_is_given_under_its_own_name(own_session):
    from transparent_mp.primitives import session as sessions

    (hold,) = sharing.create(own_session)
    token = sharing.hand_over(own_session, hold, None)
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            session = sessions.current()
            mine = sharing.take(session, hold.oid, 0, token)
            # What came along from the parent is not the child's to end.
            del hold
            gc.collect()
            session.store.settle()
            os.write(told, f"{session.uid} {mine.oid}".encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(told)
    with open(ready) as file:
        uid, oid = file.read().split()
    assert oid == hold.oid
    assert holders(own_session, hold) == {own_session.uid, uid}
