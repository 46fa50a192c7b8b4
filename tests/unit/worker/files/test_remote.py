from __future__ import annotations

from typing import Any

import pytest

from transparent_mp.ship import requests
from transparent_mp.worker.files import remote as of_remote
from transparent_mp.worker.files.remote import Remote


class Client:
    client = "uid"


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    done: list[Any] = []

    def ask(_session: Any, _topic: str, request: dict[str, Any], **how: Any) -> Any:
        done.append((request["op"], how["of"], how["lasts"]))
        if {**request, **request.get("with", {})}.get("fails"):
            return {"errno": 13, "text": "Permission denied"}, b""
        return {"ok": request.get("name")}, b""

    def send(_session: Any, _topic: str, request: dict[str, Any], data: bytes, **_how: Any) -> None:
        done.append((request["op"], len(data)))

    monkeypatch.setattr(requests, "ask", ask)
    monkeypatch.setattr(requests, "send", send)
    return done


def test_what_is_on_its_way_is_bounded(done: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_remote, "WINDOW", 100)
    remote = Remote(Client())  # type: ignore[arg-type]
    for _ in range(5):
        remote.send("write", b"x" * 40)
    waited = ("settle", "uid.files", False)
    assert done == [*[("write", 40)] * 3, waited, *[("write", 40)] * 2]
    remote.settle()
    # All that was sent has been done: there is nothing to wait for.
    remote.settle()
    assert done[6:] == [waited]


def test_an_error_is_the_client_s_with_the_program_s_names(done: list[Any]) -> None:
    remote = Remote(Client())  # type: ignore[arg-type]
    with pytest.raises(PermissionError) as raised:
        remote.ask("call", "as said", "and this", fails=True)
    assert (raised.value.filename, raised.value.filename2) == ("as said", "and this")
    with pytest.raises(PermissionError) as raised:
        remote.call("utime", "/full", named=(None,), fails=True)
    assert raised.value.filename is None
    assert remote.call("stat", "/full") == "stat"


def test_a_lock_is_waited_for_as_long_as_it_takes(done: list[Any]) -> None:
    remote = Remote(Client())  # type: ignore[arg-type]
    remote.ask("flock", wait=True)
    remote.ask("flock", wait=False)
    assert [each[2] for each in done] == [True, False]
