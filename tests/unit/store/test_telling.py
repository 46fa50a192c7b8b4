from __future__ import annotations

import select
import socket

import pytest

from transparent_mp.store.session import OwnedSession
from transparent_mp.store.telling import Telling, numbered, packed

#: Seconds: the end of what hangs.
LIMIT = 60.0


def answered(telling: Telling) -> bool:
    """Whether something was answered, after a while at most."""
    return bool(select.select([telling.fileno()], [], [], LIMIT)[0])


def test_what_is_told_arrives_and_its_answer_is_thrown_away(session: OwnedSession) -> None:
    telling = Telling.begin(session.worker_url)
    assert telling is not None
    for number in range(3):
        telling.tell(numbered(packed(("SET", session.keys("told"), -(2**62))), -(2**62), number))
        assert answered(telling)
        assert session.store.ask("GET", session.keys("told")) == b"%d" % number
        telling.look()
        assert not select.select([telling.fileno()], [], [], 0)[0]
    telling.close()
    session.store.call(("DEL", session.keys("told")))


def test_there_is_none_without_a_store() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert Telling.begin(f"redis://127.0.0.1:{port}/0") is None


def test_there_is_none_where_several_cannot_write(monkeypatch: pytest.MonkeyPatch) -> None:
    class Secured(socket.socket):
        pass

    class SecuredLink:
        def __init__(self) -> None:
            self.sock = Secured()

        def detach(self) -> socket.socket:
            return self.sock

    link = SecuredLink()
    monkeypatch.setattr("transparent_mp.store.telling.connect", lambda _url: link)
    assert Telling.begin("rediss://elsewhere/0") is None
    assert link.sock.fileno() == -1


def full() -> tuple[Telling, socket.socket, int]:
    """One that takes less than is told, its other end, and what lies there."""
    near, far = socket.socketpair()
    near.setblocking(False)
    filled = 0
    try:
        while True:
            filled += near.send(bytes(1000))
    except BlockingIOError:
        return Telling(near), far, filled


def test_what_cannot_be_told_is_not_waited_for() -> None:
    telling, far, filled = full()
    telling.tell(packed(("SET", "key", "x" * 100)))
    telling.close()
    assert len(far.recv(filled + 1000, socket.MSG_WAITALL)) == filled
    far.close()


def test_nobody_goes_on_in_the_middle_of_a_word() -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    telling = Telling(near)
    telling.tell(packed(("SET", "key", "x" * 10_000_000)))
    with pytest.raises(BrokenPipeError):
        near.send(b"more")
    telling.tell(packed(("SET", "key", "more")))
    telling.close()
    far.close()
