from __future__ import annotations

import pytest

from transparent_mp.errors import StoreReplyError
from transparent_mp.primitives import names, sharing
from transparent_mp.primitives.names import CLIENT, FILE, STORE, Entry
from transparent_mp.store.session import new_id


@pytest.fixture
def enter(own_session):
    def enter(name, where, must=False):
        entry = Entry(new_id(), 40, where)
        return own_session.store.ask(*names.enter(own_session, name, entry, must=must)), entry

    return enter


@pytest.fixture
def client(joined):
    """The client of the session."""
    session = joined()
    session.uid = session.client
    session.store.ask("DEL", session.keys("inbox", session.uid))
    return session


def holders(session, oid):
    return session.store.ask("SMEMBERS", session.keys.object(oid, "h0"))


def test_a_name_is_found_by_every_process_and_held_by_who_finds_it(enter, joined):
    taken, entry = enter("one", STORE)
    other = joined()
    assert (taken, names.find(other, "one"), names.find(other, "none")) == (1, entry, None)
    assert sorted(holders(other, entry.oid)) == sorted([b"names", other.uid.encode()])
    assert names.look_up(other, "one") == entry
    names.unlink(other, "one")


def test_a_name_is_taken_once(enter, own_session):
    enter("twice", STORE)
    assert [enter("twice", where)[0] for where in (STORE, CLIENT)] == [0, 0]
    with pytest.raises(StoreReplyError, match="twice of a SharedMemory is taken"):
        enter("twice", STORE, must=True)
    names.unlink(own_session, "twice")
    assert enter("twice", STORE)[0] == 1
    names.unlink(own_session, "twice")


def test_what_is_a_file_of_the_client_s_is_one_however_often_it_is_entered(enter, own_session):
    _, entry = enter("file", CLIENT)
    assert enter("file", CLIENT, must=True)[0] == 1
    assert names.look_up(own_session, "file") == entry
    names.unlink(own_session, "file")


def test_the_client_does_not_hold_what_is_its_own_file(enter, client):
    _, entry = enter("own", CLIENT)
    assert names.find(client, "own") == entry
    assert holders(client, entry.oid) == [b"names"]
    names.unlink(client, "own")


@pytest.mark.parametrize(("where", "told"), [(CLIENT, True), (FILE, True), (STORE, False)])
def test_unlinking_tells_a_client_that_has_a_file(enter, own_session, client, where, told):
    _, entry = enter("told", where)
    sharing.take(own_session, entry.oid)
    assert names.find(own_session, "told") == entry
    assert names.unlink(own_session, "told") == (entry, 1)
    assert names.unlink(own_session, "told") is None
    event = own_session.store.ask("LPOP", own_session.keys("inbox", client.uid))
    assert (event is not None) == told
    if told:
        assert entry.oid.encode() in event
        assert b'"left":1' in event


def test_the_client_is_not_told_of_what_it_does_itself(enter, client):
    enter("own", CLIENT)
    names.unlink(client, "own")
    assert client.store.ask("LLEN", client.keys("inbox", client.uid)) == 0


def test_what_nobody_holds_goes_with_its_name(enter, own_session):
    _, entry = enter("alone", STORE)
    data = own_session.keys.object(entry.oid, "d")
    own_session.store.ask("HSET", data, 0, "x")
    assert names.unlink(own_session, "alone") == (entry, 0)
    assert own_session.store.ask("EXISTS", data, own_session.keys.object(entry.oid, "h0")) == 0
    assert own_session.store.ask("SISMEMBER", own_session.keys("objects"), entry.oid) == 0


def test_contents_that_have_come_change_the_entry_of_that_name_only(enter, own_session):
    _, entry = enter("moves", CLIENT)
    after = entry._replace(where=FILE)
    assert own_session.store.ask(*names.moved(own_session, "moves", entry, after)) == 1
    assert names.look_up(own_session, "moves") == after
    assert own_session.store.ask(*names.moved(own_session, "moves", entry, after)) == 0
    names.unlink(own_session, "moves")
