from __future__ import annotations

import sys
from pathlib import Path

import pytest

from transparent_mp.errors import ConfigError
from transparent_mp.primitives import opening
from transparent_mp.store import keeper

#: A worker that writes what it is told, or that it was told nothing, to a file.
WORKER = """
import sys
with open(sys.argv[1], "w") as told:
    told.write(sys.stdin.readline() or "nothing")
"""


@pytest.fixture
def place(monkeypatch):
    """Nothing has been begun, and nothing that a test begins remains."""
    monkeypatch.setattr(opening, "_Place", type("_Place", (opening._Place,), {}))
    yield opening._Place
    opening.give_up()
    if opening._Place.opening is not None:
        opening.take()
        opening.give_up()


@pytest.fixture
def told(tmp_path, monkeypatch) -> Path:
    """What the worker was told, once it has ended."""
    script, told = tmp_path / "worker.py", tmp_path / "told"
    script.write_text(WORKER)
    monkeypatch.setenv("TRANSPARENT_MP_WORKER_COMMAND", f"{sys.executable} {script} {told}")
    return told


@pytest.fixture
def keepers(monkeypatch):
    """The sessions for which a keeper was begun; none is."""
    begun = []

    def begin(config):
        begun.append(config)
        return keeper.Begun({"session": f"{len(begun):016x}"}, None)

    monkeypatch.setattr(opening.keeper, "begun", begin)
    return begun


def test_what_was_begun_is_begun_once_and_taken_once(place, told, keepers):
    opening.begin(worker=True)
    opening.begin(worker=True)
    assert opening.take().keeper.task == {"session": "0000000000000001"}
    launcher = opening.launcher()
    assert opening.launcher() is None
    launcher.close()
    assert told.read_text() == "nothing"
    assert len(keepers) == 1


def test_the_worker_that_was_begun_is_given_the_first_ticket(place, told, keepers):
    opening.begin(worker=True)
    opening.take()
    launcher = opening.launcher()
    launcher.launch("w", {"session": "0000000000000001", "worker": "w"}, lambda *_: None)
    launcher.close()
    assert told.read_text() == '{"session":"0000000000000001","worker":"w"}\n'


def test_who_needs_no_worker_begins_none(place, told, keepers):
    opening.begin(worker=False)
    assert opening.take().launcher is None
    assert not told.exists()


def test_what_nothing_was_begun_for_is_begun_when_it_is_taken(place, keepers):
    assert opening.take().launcher is None
    assert len(keepers) == 1


def test_on_lambda_no_local_worker_is_begun(place, told, keepers, monkeypatch):
    for name, value in {"BACKEND": "lambda", "FUNCTION": "f", "REDIS_URL": "redis://localhost"}.items():
        monkeypatch.setenv("TRANSPARENT_MP_" + name, value)
    opening.begin(worker=True)
    assert opening.take().launcher is None
    assert not told.exists()


def test_a_session_that_could_not_be_opened_leaves_no_worker(place, told, keepers):
    opening.begin(worker=True)
    opening.take()
    opening.give_up()
    assert told.read_text() == "nothing"
    assert opening.launcher() is None


def test_a_command_that_is_not_there_is_complained_of_at_the_launch(place, keepers, monkeypatch):
    monkeypatch.setenv("TRANSPARENT_MP_WORKER_COMMAND", "/nowhere/at-all")
    opening.begin(worker=True)
    opening.take()
    with pytest.raises(OSError, match="TRANSPARENT_MP_WORKER_COMMAND"):
        opening.launcher().launch("w", {"session": "0000000000000001"}, lambda *_: None)


def test_settings_that_make_no_sense_begin_nothing(place, keepers, monkeypatch):
    monkeypatch.setenv("TRANSPARENT_MP_LEASE", "soon")
    with pytest.raises(ConfigError):
        opening.begin(worker=True)
    assert keepers == []
    assert place.opening is None
