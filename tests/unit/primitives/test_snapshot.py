from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from transparent_mp.config import Config
from transparent_mp.primitives import session as sessions
from transparent_mp.primitives.snapshot import Snapshots, at_one_moment, moment
from transparent_mp.ship import contents
from transparent_mp.store.session import OwnedSession, open_session

#: What the copies are asked for.
MEMORY: dict[str, bytes] = {}


def pack(module: str, name: str) -> tuple[Any, Mapping[str, Any]]:
    if name == "crash":
        os._exit(3)
    value = MEMORY[name]
    digest = hashlib.sha256(value).hexdigest()
    return (module, digest, os.getpid(), open_here()), {digest: value}


def open_here() -> list[str]:
    """What this process has open that leads anywhere."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        # The listing's own is among them.
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
    return [path for path in found if path != os.devnull]


@pytest.fixture
def session() -> Iterator[OwnedSession]:
    before = sessions.attached()
    session = open_session(Config())
    sessions.attach(session)
    yield session
    session.end()
    sessions.attach(before)  # type: ignore[arg-type]


@pytest.fixture
def book(session: OwnedSession) -> Iterator[Snapshots]:
    MEMORY.clear()
    book = Snapshots(session, pack)
    yield book
    book._close_all()


def ask(book: Snapshots, name: str, of: str) -> Any:
    head, body = book.answer({"snapshot": of, "module": "m", "name": name})
    return pickle.loads(body) if not head else head["gone"]


def have_stored(book: Snapshots, digest: str, of: str) -> str:
    head, _ = book.answer({"snapshot": of, "digest": digest})
    return str(head.get("gone", ""))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_copy_answers_as_it_was(book: Snapshots, session: OwnedSession) -> None:
    MEMORY["x"] = b"before"
    first = book.take()
    MEMORY["x"] = b"after"
    second = book.take()
    _, digest, pid, _ = ask(book, "x", first.name)
    _, other, _, _ = ask(book, "x", second.name)
    # Nothing is stored before somebody lacks it.
    assert not contents.has(session, digest, 6)
    for each, copy in ((digest, first), (other, second)):
        assert not have_stored(book, each, copy.name)
    assert contents.get(session, digest) == b"before"
    assert contents.get(session, other) == b"after"
    assert pid != os.getpid()
    assert ask(book, "x", first.name) == ask(book, "x", first.name)


def test_what_the_store_has_is_not_stored_again(book: Snapshots, session: OwnedSession) -> None:
    MEMORY["x"] = b"the same"
    one, other = book.take(), book.take()
    digest = ask(book, "x", one.name)[1]
    assert ask(book, "x", other.name)[1] == digest
    have_stored(book, digest, one.name)
    key = session.keys("content", digest)
    session.store.call(("PEXPIRE", key, 50_000))
    for copy in (one, other):
        assert not have_stored(book, digest, copy.name)
    assert session.store.ask("PTTL", key) <= 50_000


def test_what_another_copy_had_stored_and_is_gone_with_it_is_stored_again(
    book: Snapshots, session: OwnedSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "KEEP", 0)
    MEMORY["x"] = b"the same"
    one, other = book.take(), book.take()
    digest = ask(book, "x", one.name)[1]
    ask(book, "x", other.name)
    have_stored(book, digest, one.name)
    one.release()
    assert not contents.has(session, digest, 8)
    assert "has ended" in have_stored(book, digest, one.name)
    assert not have_stored(book, digest, other.name)
    assert contents.get(session, digest) == b"the same"


def test_it_ends_with_the_last_process_that_stands_on_it(book: Snapshots) -> None:
    MEMORY["x"] = b""
    held = book.take()
    pid = ask(book, "x", held.name)[2]
    held.use()
    held.release()
    assert alive(pid)
    held.release()
    assert not alive(pid)
    assert "has ended" in ask(book, "x", held.name)


def test_one_moment_has_one_copy(book: Snapshots) -> None:
    with moment():
        first, second = book.take(), book.take()
        first.release()
        second.release()
        # The moment itself holds it.
        with moment():
            third = book.take()
    assert first is second is third
    assert third.name in book._known
    assert book.take() is not third
    third.release()
    assert third.name not in book._known


def test_the_moment_is_this_thread_s(book: Snapshots) -> None:
    taken = []
    with moment():
        taken.append(book.take())
        other = threading.Thread(target=lambda: taken.append(book.take()))
        other.start()
        other.join()
    assert taken[0] is not taken[1]


def test_a_function_that_starts_several_is_one_moment(book: Snapshots) -> None:
    start = at_one_moment(lambda count: {book.take().name for _ in range(count)})
    assert len(start(3)) == 1
    assert start(1) != start(1)


def test_a_copy_holds_nothing_of_the_program_s(book: Snapshots) -> None:
    MEMORY["x"] = b""
    ours, theirs = socket.socketpair()
    held = book.take()
    theirs.close()
    ours.settimeout(10)
    # It ends although the copy was there when it was open.
    assert ask(book, "x", held.name)
    assert ours.recv(1) == b""
    ours.close()
    _, _, _, open_there = ask(book, "x", held.name)
    # The client's end alone; the store is connected to when something is stored.
    assert len([path for path in open_there if path.startswith("socket:")]) == 1
    assert not [path for path in open_there if path.startswith(("pipe:", "/")) and "/fd" not in path]


def test_one_that_is_gone_says_so(book: Snapshots) -> None:
    held = book.take()
    assert "has ended" in ask(book, "crash", held.name)
    assert "has ended" in ask(book, "x", "no such")


def test_the_session_s_end_is_theirs(book: Snapshots, session: OwnedSession) -> None:
    MEMORY["x"] = b""
    pid = ask(book, "x", book.take().name)[2]
    session.before_end[0]()
    assert not alive(pid)


def test_a_child_of_the_program_lets_go(book: Snapshots) -> None:
    MEMORY["x"] = b""
    held = book.take()
    ended, told = os.pipe()
    child = os.fork()
    if child == 0:
        book._let_go()
        os.read(ended, 1)
        os._exit(0)
    pid = ask(book, "x", held.name)[2]
    held._copy.close()
    # Its only client is gone, though a child of that lives.
    assert os.waitpid(pid, 0)[0] == pid
    os.write(told, b"x")
    os.waitpid(child, 0)
    os.close(ended)
    os.close(told)
