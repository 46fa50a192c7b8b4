from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import pytest

from transparent_mp.ship import contents
from transparent_mp.ship.frames import encode
from transparent_mp.store.session import OwnedSession
from transparent_mp.worker.code import Code
from transparent_mp.worker.pantry import Pantry


def batch(*names: str, complete: tuple[str, ...] = (), size: int | None = 1) -> tuple[str, bytes]:
    header = {"modules": [{"name": name, "size": size} for name in names], "complete": list(complete)}
    content = encode(header, b"x" * len(names))
    return hashlib.sha256(content).hexdigest(), content


class Client:
    """Answers as the client does, one round trip each."""

    def __init__(self, session: OwnedSession) -> None:
        self.session = session
        self.asked: list[Any] = []
        self.batches: dict[str, tuple[str, bytes]] = {}
        self.inline = True

    def __call__(self, kind: str, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        self.session.store.waits += 1
        self.asked.append(request.get("name", kind))
        if kind == "current":
            return {"current": {name: digest for name, (digest, _) in self.batches.items()}}, b""
        if kind != "module":
            return {"found": True}, b"data"
        digest, content = self.batches[request["name"]]
        if not self.inline:
            self.session.store.cast(*contents.put(self.session, {digest: content}, set()))
        return {"asked": request["name"], "batch": digest}, content if self.inline else b""


@pytest.fixture
def client(session: OwnedSession) -> Client:
    return Client(session)


@pytest.fixture
def pantry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pantry:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Pantry()


def test_a_batch_is_asked_for_once_on_a_worker(client: Client, pantry: Pantry, session: OwnedSession) -> None:
    client.batches["pkg"] = batch("pkg", "pkg.a", complete=("pkg",))
    first = Code(session, client, pantry, {})
    first.refresh()
    assert first.module("pkg")[1] == b"xx"
    assert first.module("pkg.a") == first.module("pkg.nowhere") == first.module("pkg")
    second = Code(session, client, pantry, {"pkg": client.batches["pkg"][0]})
    second.refresh()
    assert second.module("pkg.a")[1] == b"xx"
    assert client.asked == ["pkg"]


@pytest.mark.usefixtures("pantry")
def test_a_large_one_comes_by_its_digest(client: Client, pantry: Pantry, session: OwnedSession) -> None:
    client.batches["pkg"] = batch("pkg")
    client.inline = False
    code = Code(session, client, pantry, {})
    assert code.module("pkg")[1] == b"x"
    code.refresh()
    assert client.asked == ["pkg"]
    session.store.call(("DEL", session.keys("content", client.batches["pkg"][0])))
    assert Code(session, client, pantry, {}).module("pkg")[1] == b"x"


def test_after_a_message_it_asks_what_is_current(
    client: Client, pantry: Pantry, session: OwnedSession
) -> None:
    client.batches["pkg"] = batch("pkg")
    code = Code(session, client, pantry, {})
    code.module("pkg")
    assert code.refresh() == 0
    session.store.ask("PING")
    assert code.refresh() == 0
    client.batches["pkg"] = batch("pkg", "pkg.new")
    assert code.refresh() == 0
    session.store.ask("PING")
    assert code.refresh() == 1
    assert code.module("pkg")[1] == b"xx"
    assert client.asked == ["pkg", "current", "current", "pkg"]


def test_a_process_that_was_told_nothing_asks_first(
    client: Client, pantry: Pantry, session: OwnedSession
) -> None:
    client.batches["pkg"] = batch("pkg")
    pantry.put(*client.batches["pkg"])
    code = Code(session, client, pantry, None)
    code.refresh()
    assert code.module("pkg")[1] == b"x"
    assert client.asked == ["current"]


def test_a_neighbour_is_found_in_the_batch_it_came_with(
    client: Client, pantry: Pantry, session: OwnedSession
) -> None:
    client.batches["app"] = batch("app", "helper")
    code = Code(session, client, pantry, {})
    code.module("app")
    assert code.module("helper")[1] == b"xx"
    assert client.asked == ["app"]


def test_a_compiled_module_is_listed_and_asked_for_by_name(
    client: Client, pantry: Pantry, session: OwnedSession
) -> None:
    client.batches["pkg"] = batch("pkg._c", size=None)
    client.batches["pkg._c"] = batch("pkg._c")
    code = Code(session, client, pantry, {})
    code.module("pkg")
    code.module("pkg._c")
    assert client.asked == ["pkg", "pkg._c"]


def test_other_requests_pass(client: Client, pantry: Pantry, session: OwnedSession) -> None:
    assert Code(session, client, pantry, {}).ask("data", {"module": "m"}) == ({"found": True}, b"data")
