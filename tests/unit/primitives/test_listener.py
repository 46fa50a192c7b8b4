from __future__ import annotations

import os
import socket
import tempfile
from multiprocessing import AuthenticationError, connection

import pytest

from transparent_mp.errors import StoreError
from transparent_mp.primitives import listener as ours_module
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.listener import Client, Listener, XmlListener, enter_all
from transparent_mp.store.session import new_id

LONG = 20
HERE = ("localhost", 0)

pytestmark = pytest.mark.usefixtures("ours")


@pytest.fixture
def listen():
    """Makes listeners, and closes them."""
    made = []

    def make(*args, cls=Listener, **kwargs):
        made.append(cls(*args, **kwargs))
        if sessions.attached() is not None:
            # Whoever is told its address through the store finds its name there; here nobody is told.
            sessions.current().store.settle()
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(params=["the same machine", "another machine"])
def other(request, player):
    """A further process."""
    one = player()
    if request.param == "another machine":
        one.session.machine = "elsewhere"
    return one


@pytest.fixture
def elsewhere(player):
    one = player()
    one.session.machine = "elsewhere"
    return one


def names(session):
    return {
        name.decode(): bytes(session.seal.open(f"{session.keys('names')} {name.decode()}", value)).decode()
        for name, value in zip(*[iter(session.store.ask("HGETALL", session.keys("names")))] * 2)
    }


def forgetting(session, uid):
    """The commands by which what a holder holds ends with its process."""
    parts = session.keys.base, session.keys.any_object, uid, session.ttl
    return (session.script("forget", ("objects", "keys"), parts),)


def tokens(session):
    """What is held for receivers of messages, and what the session's registry knows of it."""
    found = set(session.store.ask("KEYS", session.keys("holds", "token-*")))
    known = session.store.ask("SMEMBERS", session.keys("keys"))
    assert found == {key for key in known if b":holds:token-" in key}
    return found


class TestClient:
    @pytest.mark.parametrize("family", ["AF_INET", "AF_UNIX"])
    def test_reaches_a_listener(self, listen, other, waiting, family):
        listener = listen(None, family)
        dialled = other.begin(Client, listener.address)
        accepted = listener.accept()
        conn = dialled.result(LONG)
        other(conn.send, "there")
        assert accepted.recv() == "there"
        accepted.send("back")
        assert other(conn.recv) == "back"
        other(conn.close)
        with pytest.raises(EOFError):
            accepted.recv()
        accepted.close()

    def test_dials_the_address_itself_on_the_same_machine(self, listen, player):
        listener, other = listen(HERE), player()
        dialled = other.begin(Client, listener.address)
        accepted = listener.accept()
        assert accepted._shared is None
        assert dialled.result(LONG)._shared is None
        assert listener.last_accepted[0] == "127.0.0.1"
        accepted.close()
        dialled.result().close()

    def test_never_dials_the_address_from_another_machine(self, listen, elsewhere, monkeypatch):
        listener = listen(HERE)
        monkeypatch.setattr(ours_module, "_stock_client", None)
        conn = elsewhere(Client, listener.address)
        accepted = listener.accept()
        assert conn._shared is not None
        accepted.send(1)
        assert elsewhere(conn.recv) == 1
        elsewhere(conn.close)

    def test_several_reach_it_one_after_another(self, listen, player):
        listener = listen(HERE)
        others = [player() for _ in range(4)]
        for other in others[::2]:
            other.session.machine = "elsewhere"
        for number, other in enumerate(others):
            dialled = other.begin(Client, listener.address)
            accepted = listener.accept()
            accepted.send(number)
            conn = dialled.result(LONG)
            assert other(conn.recv) == number
            other(conn.close)
            accepted.close()

    def test_from_another_machine_is_named_by_its_host_and_number(self, listen, elsewhere):
        for family, named in (("AF_INET", True), ("AF_UNIX", False)):
            listener = listen(None, family)
            for number in (1, 2):
                conn = elsewhere(Client, listener.address)
                listener.accept().close()
                assert listener.last_accepted == ((socket.gethostname(), number) if named else "")
                elsewhere(conn.close)

    def test_reads_the_end_when_the_listeners_process_ends_before_it_accepts(
        self, own_session, player, elsewhere
    ):
        other = player()
        listener = other(Listener, HERE)
        conn = elsewhere(Client, listener.address)
        own_session.store.call(*forgetting(own_session, other.uid))
        with pytest.raises(EOFError):
            elsewhere(conn.recv)
        listener._listener.close()

    def test_reads_the_end_when_it_ends_in_the_middle_of_accepting(self, own_session, player, elsewhere):
        other = player()
        listener = other(Listener, HERE)
        conn = elsewhere(Client, listener.address)
        assert other(listener._mailbox.accept) is not None
        assert other(listener._mailbox.accept) is None
        own_session.store.call(*forgetting(own_session, other.uid))
        with pytest.raises(EOFError):
            elsewhere(conn.recv)
        listener._listener.close()

    def test_leaves_no_token_behind(self, own_session, listen, elsewhere):
        one, listener = listen(HERE), listen(HERE)
        # They must be known before anyone asks for them.
        own_session.store.settle()
        conn = elsewhere(Client, one.address)
        assert tokens(own_session)
        elsewhere(conn.close)
        conn = elsewhere(Client, listener.address)
        before = len(tokens(own_session))
        listener.accept().close()
        assert len(tokens(own_session)) == before - 1
        elsewhere(conn.close)

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
    @pytest.mark.parametrize("bound", ["localhost", "127.0.0.1", "0.0.0.0"])
    def test_may_call_this_machine_by_any_of_its_names(self, listen, elsewhere, host, bound):
        listener = listen((bound, 0))
        conn = elsewhere(Client, (host, listener.address[1]))
        listener.accept().send(1)
        assert elsewhere(conn.recv) == 1
        elsewhere(conn.close)

    def test_of_a_process_that_ends_without_closing_it_is_not_there(self, own_session, listen):
        listener = listen(None, "AF_UNIX")
        assert names(own_session)
        for finaliser in (listener._listener._unlink, listener._unlist):
            finaliser()
        assert names(own_session) == {}
        with pytest.raises(FileNotFoundError):
            Client(listener.address)
        listener._unlist()

    def test_without_a_listener_is_refused(self, elsewhere, listen):
        listener = listen(HERE)
        address = listener.address
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            elsewhere(Client, address)
        with pytest.raises(ConnectionRefusedError):
            Client(address)

    def test_of_a_listener_whose_process_ended_is_refused(self, own_session, elsewhere):
        names = own_session.keys("names")
        place = f"{names} AF_INET localhost:9"
        own_session.store.call(
            (
                "HSET",
                names,
                "AF_INET localhost:9",
                own_session.seal.close(place, f"client {new_id()}".encode()),
            )
        )
        with pytest.raises(ConnectionRefusedError):
            elsewhere(Client, ("localhost", 9))
        own_session.store.call(("HDEL", own_session.keys("names"), "AF_INET localhost:9"))

    def test_without_a_session_is_the_librarys(self, listen, own_session):
        sessions.attach(None)
        listener = listen(HERE)
        conn = Client(listener.address)
        listener.accept().send(1)
        assert conn.recv() == 1
        conn.close()
        sessions.attach(own_session)


class TestAuthentication:
    def test_with_the_same_key(self, listen, other):
        listener = listen(HERE, authkey=b"key")
        dialled = other.begin(Client, listener.address, authkey=b"key")
        accepted = listener.accept()
        conn = dialled.result(LONG)
        other(conn.send, 1)
        assert accepted.recv() == 1
        other(conn.close)
        accepted.close()

    def test_with_another_key(self, listen, other):
        listener = listen(HERE, authkey=b"key")
        dialled = other.begin(Client, listener.address, authkey=b"wrong")
        with pytest.raises(AuthenticationError, match="digest received was wrong"):
            listener.accept()
        with pytest.raises(AuthenticationError, match="digest sent was rejected"):
            dialled.result(LONG)

    def test_with_a_key_that_is_none(self, listen, other):
        listener = listen(HERE, authkey=b"key")
        with pytest.raises(TypeError, match=r"^authkey should be a byte string$"):
            other(Client, listener.address, authkey="key")


class TestListener:
    def test_is_entered_while_it_is_open(self, listen, own_session):
        listener = listen(HERE)
        name = f"AF_INET localhost:{listener.address[1]}"
        machine, oid = names(own_session)[name].split()
        assert machine == own_session.machine
        listener.close()
        assert name not in names(own_session)
        assert own_session.store.ask("KEYS", own_session.keys.object_base(oid) + "*") == []

    def test_unix_paths_are_entered_as_they_are(self, listen, own_session):
        listener = listen(None, "AF_UNIX")
        assert f"AF_UNIX {listener.address!r}" in names(own_session)

    def test_that_is_closed_accepts_nobody(self, listen):
        listener = listen(HERE)
        listener.close()
        listener.close()
        with pytest.raises(OSError, match=r"^listener is closed$"):
            listener.accept()

    def test_turns_away_who_has_knocked(self, listen, elsewhere):
        listener = listen(HERE)
        conns = [elsewhere(Client, listener.address) for _ in range(3)]
        accepted = listener.accept()
        accepted.send("welcome")
        assert elsewhere(conns[0].recv) == "welcome"
        listener.close()
        for conn in conns[1:]:
            with pytest.raises(EOFError):
                elsewhere(conn.recv)
        accepted.send("still")
        assert elsewhere(conns[0].recv) == "still"
        for conn in conns:
            elsewhere(conn.close)

    def test_that_waits_is_woken_when_it_is_entered(self, listen, own_session, elsewhere, waiting):
        sessions.attach(None)
        listener = listen(HERE)
        accepted = waiting(listener.accept)
        sessions.attach(own_session)
        assert listener._mailbox is None
        enter_all(own_session)
        conn = elsewhere(Client, listener.address)
        accepted.result(LONG).send("welcome")
        assert elsewhere(conn.recv) == "welcome"
        elsewhere(conn.close)

    def test_that_was_there_before_the_session_is_entered_once(self, listen, own_session):
        sessions.attach(None)
        listener = listen(HERE)
        sessions.attach(own_session)
        enter_all(own_session)
        before = names(own_session)
        enter_all(own_session)
        assert names(own_session) == before
        assert f"AF_INET localhost:{listener.address[1]}" in before

    def test_that_was_closed_before_the_session_is_not_entered(self, listen, own_session):
        before = names(own_session)
        sessions.attach(None)
        listener = listen(HERE)
        listener.close()
        sessions.attach(own_session)
        enter_all(own_session)
        assert names(own_session) == before

    def test_leaves_no_descriptor_open(self, own_session):
        # The first one makes links that are kept.
        Listener(HERE).close()
        before = sorted(os.listdir("/proc/self/fd"))
        Listener(HERE).close()
        with Listener(None, "AF_UNIX") as listener:
            path = listener.address
            assert os.path.exists(path)
        assert not os.path.exists(path)
        assert sorted(os.listdir("/proc/self/fd")) == before

    def test_at_an_address_that_is_taken(self, listen):
        path = os.path.join(tempfile.mkdtemp(), "taken")
        listen(path)
        with pytest.raises(OSError, match="Address already in use"):
            Listener(path)

    def test_that_carries_xml(self, listen, other):
        listener = listen(HERE, cls=XmlListener)
        dialled = other.begin(connection.XmlClient, listener.address)
        accepted = listener.accept()
        conn = dialled.result(LONG)
        other(conn.send, ["there", 1])
        assert accepted.recv() == ["there", 1]
        other(conn.close)
        accepted.close()


def test_a_lost_store_is_told_once_and_who_goes_on_accepting_waits(listen, monkeypatch):
    sessions.current()
    listener, mailbox, real = listen(HERE), [], ours_module.stock.wait
    mailbox.append(listener._mailbox)

    def wait(waiting):
        if mailbox[0] in waiting:
            raise StoreError("lost the connection to the store")
        return real(waiting)

    monkeypatch.setattr(ours_module.stock, "wait", wait)
    with pytest.raises(StoreError, match="lost"):
        listener.accept()
    with socket.create_connection(listener.address, LONG):
        assert listener.accept().fileno() >= 0


def test_without_a_store_one_of_this_machine_is_reached_and_of_others_the_loss_is_told(listen, monkeypatch):
    sessions.current()
    listener = listen(HERE)

    def find(*_about):
        raise StoreError("lost the connection to the store")

    monkeypatch.setattr(ours_module, "_find", find)
    with Client(listener.address) as near, listener.accept() as far:
        near.send("here")
        assert far.recv() == "here"
    address = listener.address
    listener.close()
    with pytest.raises(StoreError, match="lost"):
        Client(address)
