from __future__ import annotations

import hashlib
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from transparent_mp.ship import batches, contents
from transparent_mp.ship.batches import Batches
from transparent_mp.ship.frames import decode
from transparent_mp.store.session import OwnedSession

#: Long enough ago for a file's times to tell its next change.
LONG_AGO = 1_500_000_000


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    # What happens in a test is its past at once.
    monkeypatch.setattr(batches, "SETTLED", -(10**18))
    yield tmp_path
    sys.path_importer_cache.pop(str(tmp_path), None)


@pytest.fixture
def book(session: OwnedSession) -> Batches:
    return Batches(session)


def names(answer: tuple[dict[str, Any], bytes]) -> list[str]:
    header, content = answer
    assert hashlib.sha256(content).hexdigest() == header["batch"]
    return [entry["name"] for entry in decode(content)[0]["modules"]]


def ask(book: Batches, name: str) -> tuple[dict[str, Any], bytes]:
    return book.answer({"kind": "module", "name": name})


def test_a_small_batch_comes_at_once_and_is_current(book: Batches, root: Path) -> None:
    (root / "tmp_batch_a.py").write_text("1")
    answer = ask(book, "tmp_batch_a")
    assert names(answer) == ["tmp_batch_a"]
    assert book.current() == {"tmp_batch_a": answer[0]["batch"]}
    assert book.answer({"kind": "current"}) == ({"current": book.current()}, b"")


def test_a_large_one_is_stored_once(book: Batches, root: Path, session: OwnedSession) -> None:
    (root / "tmp_batch_b.py").write_text("#" * 100_000)
    head, content = ask(book, "tmp_batch_b")
    assert content == b""
    stored = contents.get(session, head["batch"])
    assert decode(stored)[1] == b"#" * 100_000
    session.store.call(("DEL", session.keys("content", head["batch"])))
    ask(book, "tmp_batch_b")
    assert session.store.ask("EXISTS", session.keys("content", head["batch"])) == 0


def test_what_has_changed_is_not_current(book: Batches, root: Path) -> None:
    package = root / "tmp_batch_c"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text("1")
    first = ask(book, "tmp_batch_c")
    assert book.current()
    (package / "one.py").write_text("2")
    assert book.current() == {}
    # A module of it brings the package again.
    again = ask(book, "tmp_batch_c.one")
    assert again[0]["asked"] == "tmp_batch_c"
    assert again[0]["batch"] != first[0]["batch"]
    assert list(book.current()) == ["tmp_batch_c"]
    (package / "two.py").write_text("3")
    assert book.current() == {}


def test_what_is_no_longer_with_its_package_is_looked_for_alone(book: Batches, root: Path) -> None:
    package = root / "tmp_batch_d"
    (package / "space").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text("1")
    ask(book, "tmp_batch_d")
    (package / "one.py").unlink()
    head, content = ask(book, "tmp_batch_d.one")
    assert head["asked"] == "tmp_batch_d.one"
    assert decode(content)[0]["modules"][0]["kind"] == "missing"


def test_what_was_missing_is_current_until_it_comes(book: Batches, root: Path) -> None:
    ask(book, "tmp_batch_e")
    assert list(book.current()) == ["tmp_batch_e"]
    (root / "results.txt").write_text("a file beside it changes nothing")
    assert list(book.current()) == ["tmp_batch_e"]
    (root / "tmp_batch_e.py").write_text("1")
    os.utime(root, (LONG_AGO, LONG_AGO))
    assert book.current() == {}


def test_another_path_is_another_search(book: Batches, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "tmp_batch_f.py").write_text("1")
    ask(book, "tmp_batch_f")
    monkeypatch.setattr(sys, "path", ["/tmp_nowhere", *sys.path])
    assert book.current() == {}


def test_a_file_that_has_just_changed_is_not_told(
    book: Batches, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "SETTLED", 10**18)
    (root / "tmp_batch_g.py").write_text("1")
    assert names(ask(book, "tmp_batch_g")) == ["tmp_batch_g"]
    assert book.current() == {}


def test_other_requests_and_refusals_pass(book: Batches) -> None:
    assert "error" in book.answer({"kind": "nothing known"})[0]
    assert "error" in book.answer({"kind": "data", "module": "tmp_none", "path": "x"})[0]


def test_the_main_script_is_known_after_its_end(
    tmp_path: Path, session: OwnedSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "app.py"
    script.write_bytes("# -*- coding: latin-1 -*-\nx = '\xe9'\n".encode("latin-1"))
    main = types.ModuleType("__main__")
    main.__file__ = str(script)
    monkeypatch.setitem(sys.modules, "__main__", main)
    book = Batches(session)
    del main.__file__
    asked = {"file": str(script)}
    assert book.answer({"kind": "script", **asked}) == ({"found": True}, script.read_bytes())
    head, text = book.answer({"kind": "source", **asked})
    assert (head, text.decode()) == ({"found": True}, "# -*- coding: latin-1 -*-\nx = '\xe9'\n")
    script.unlink()
    assert not book.answer({"kind": "script", **asked})[0]["found"]
