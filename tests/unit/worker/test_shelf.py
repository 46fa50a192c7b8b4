from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from transparent_mp.errors import SessionLostError, UntrustedPayloadError
from transparent_mp.ship import contents
from transparent_mp.store.depot import LARGE
from transparent_mp.store.seal import Buffer
from transparent_mp.store.session import OwnedSession
from transparent_mp.worker.shelf import PREFIX, Shelf
from transparent_mp.worker.surroundings import place_for_sockets

CONTENT = b"content" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def stored(session: OwnedSession) -> OwnedSession:
    session.store.call(*contents.put(session, {DIGEST: CONTENT}, set()))
    return session


def test_a_content_is_fetched_once_and_each_view_is_its_own(stored: OwnedSession) -> None:
    shelf = Shelf()
    first = shelf.content(stored, DIGEST)
    stored.store.call(("DEL", stored.keys("content", DIGEST)))
    first[0:1] = b"C"
    second = shelf.content(stored, DIGEST)
    assert (bytes(first[:7]), bytes(second[:7])) == (b"Content", b"content")
    assert bytes(second[:]) == CONTENT
    place = shelf.place
    shelf.clear()
    assert not os.path.exists(place)


def test_what_was_not_used_for_longest_makes_room(
    session: OwnedSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transparent_mp.worker.shelf.ROOM", 2500)
    spare(monkeypatch, 0)
    parts = {hashlib.sha256(bytes([n]) * 1000).hexdigest(): bytes([n]) * 1000 for n in range(4)}
    session.store.call(*contents.put(session, parts, set()))
    shelf, views = Shelf(), []
    for at, digest in enumerate(parts):
        views.append(shelf.content(session, digest))
        os.utime(os.path.join(shelf.place, digest), (at, at))
    assert sorted(os.listdir(shelf.place)) == sorted(
        name for digest in list(parts)[2:] for name in (digest, digest + ".lock")
    )
    assert [bytes(view[:]) for view in views] == list(parts.values())
    assert bytes(shelf.content(session, next(iter(parts)))[:]) == bytes(1000)
    shelf.clear()


def spare(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Have the disk have so many bytes left."""
    disk = SimpleNamespace(f_bavail=free, f_frsize=1)
    monkeypatch.setattr("transparent_mp.worker.shelf.os.statvfs", lambda _place: disk)


@pytest.mark.parametrize(("free", "kept"), [(1000, 2), (5000, 2), (12_000, 4)])
def test_a_shelf_has_its_part_of_what_the_disk_can_spare(
    session: OwnedSession, monkeypatch: pytest.MonkeyPatch, free: int, kept: int
) -> None:
    monkeypatch.setattr("transparent_mp.worker.shelf.ROOM", 2500)
    spare(monkeypatch, free)
    parts = {hashlib.sha256(bytes([n]) * 1000).hexdigest(): bytes([n]) * 1000 for n in range(4)}
    session.store.call(*contents.put(session, parts, set()))
    shelf = Shelf()
    for digest in parts:
        shelf.content(session, digest)
    assert len([name for name in os.listdir(shelf.place) if not name.endswith(".lock")]) == kept
    shelf.clear()


@pytest.mark.parametrize("on_disk", [True, False])
def test_what_comes_before_a_fetch_is_done_only_if_it_is_fetched(
    session: OwnedSession, monkeypatch: pytest.MonkeyPatch, on_disk: bool
) -> None:
    shelf, stored = Shelf(), []

    def have_it_stored() -> None:
        stored.append(DIGEST)
        session.store.call(*contents.put(session, {DIGEST: CONTENT}, set()))

    place = shelf.place
    if not on_disk:
        monkeypatch.setattr(shelf, "place", "")
    for _ in range(2):
        assert bytes(shelf.content(session, DIGEST, have_it_stored)[:]) == CONTENT
    # Its own copies are nobody else's.
    assert len(stored) == (1 if on_disk else 2)
    monkeypatch.setattr(shelf, "place", place)
    shelf.clear()


def test_a_content_larger_than_the_room_is_shared_beside_the_sockets_of_processes(
    session: OwnedSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transparent_mp.worker.shelf.ROOM", 500)
    spare(monkeypatch, 0)
    content = bytes(1000)
    digest = hashlib.sha256(content).hexdigest()
    session.store.call(*contents.put(session, {digest: content}, set()))
    shelf = Shelf()
    Path(shelf.place, "sockets-1").mkdir()
    # A copy of the process's own would be a bytearray.
    assert isinstance(shelf.content(session, digest), mmap.mmap)
    assert Path(shelf.place, "sockets-1").is_dir()
    shelf.clear()


def test_the_shelf_of_a_worker_that_was_killed_goes_with_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    reader, writer = os.pipe()
    killed = os.fork()
    if not killed:
        Path(Shelf().place, "content").write_bytes(CONTENT)
        # A process of it, which lives on for a moment.
        if os.fork():
            os.kill(os.getpid(), signal.SIGKILL)
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.waitpid(killed, 0)
    os.close(reader)
    (left,) = shelves(tmp_path)
    second = Shelf()
    assert {left, Path(second.place).name} == shelves(tmp_path)
    # Its last process ends, which nobody here is told.
    os.close(writer)
    lock = os.open(tmp_path / left, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.close(lock)
    third = Shelf()
    assert shelves(tmp_path) == {Path(one.place).name for one in (second, third)}
    for one in (second, third):
        one.clear()
    assert shelves(tmp_path) == set()


@pytest.mark.parametrize("moment", ["mkdtemp", "open"])
def test_another_worker_that_begins_takes_a_new_shelf_for_one_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    module = tempfile if moment == "mkdtemp" else os
    real = getattr(module, moment)
    others: list[Shelf] = []

    def swept(*args: object, **named: object) -> object:
        made = real(*args, **named)
        if not others and tmp_path in (Path(str(args[0] if args else made)).parents):
            monkeypatch.setattr(module, moment, real)
            others.append(Shelf())
        return made

    monkeypatch.setattr(module, moment, swept)
    shelf = Shelf()
    assert others
    assert shelves(tmp_path) == {Path(one.place).name for one in (shelf, *others)}
    for one in (shelf, *others):
        one.clear()


def shelves(place: Path) -> set[str]:
    return {name for name in os.listdir(place) if name.startswith(PREFIX)}


def test_a_process_that_begins_as_the_worker_ends_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shelf = Shelf()
    place, real, made = shelf.place, os.rmdir, []

    def begin_first(*args: Any, **kwargs: Any) -> None:
        made.append(place_for_sockets(place))
        real(*args, **kwargs)

    monkeypatch.setattr(os, "rmdir", begin_first)
    shelf.clear()
    assert made
    assert [path for path in tmp_path.iterdir() if path.name.startswith(PREFIX)] == []


def test_without_a_directory_a_process_has_its_own_copy(
    stored: OwnedSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: str) -> str:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    shelf = Shelf()
    assert shelf.content(stored, DIGEST) == bytearray(CONTENT)
    shelf.clear()


def test_what_is_gone_or_another_is_an_error(stored: OwnedSession) -> None:
    shelf = Shelf()
    stored.store.call(("HSET", stored.keys("content", DIGEST), 1, b"more"))
    with pytest.raises(UntrustedPayloadError, match="not what its digest says"):
        shelf.content(stored, DIGEST)
    stored.store.call(("DEL", stored.keys("content", DIGEST)))
    with pytest.raises(SessionLostError, match="no longer in the store"):
        shelf.content(stored, DIGEST)
    shelf.clear()


def test_the_largest_contents_come_from_the_depot(session: OwnedSession) -> None:
    content = bytes(LARGE)
    digest = hashlib.sha256(content).hexdigest()
    session.depot = depot = Depot()
    session.store.call(*contents.put(session, {digest: content, DIGEST: CONTENT}, set()))
    assert depot.held == {digest: content}
    assert session.store.ask("HVALS", session.keys("content", digest)) == [contents.IN_DEPOT]
    shelf = Shelf(depot)
    assert bytes(shelf.content(session, digest)[:]) == content
    assert bytes(shelf.content(session, DIGEST)[:]) == CONTENT
    shelf.clear()


class Depot:
    """One in memory."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def put(self, digest: str, content: Buffer) -> None:
        self.held[digest] = bytes(content)

    def stream(self, digest: str) -> Iterator[bytes]:
        yield self.held[digest]

    def clear(self) -> None:
        """Nothing to do."""
