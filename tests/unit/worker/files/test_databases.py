from __future__ import annotations

import contextlib
import ctypes
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from transparent_mp.worker.files import natives
from transparent_mp.worker.files.state import Files

connect: Any = natives.connect(sqlite3.connect)


def rows(path: Path) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("select n from t order by n").fetchall()
    finally:
        connection.close()


@pytest.fixture
def path(root: Path) -> Path:
    connection = sqlite3.connect(root / "data.db")
    connection.execute("create table t (n)")
    connection.commit()
    connection.close()
    return root / "data.db"


def test_what_is_committed_is_there(files: Files, path: Path) -> None:
    connection = connect(str(path))
    connection.execute("insert into t values (1)")
    assert rows(path) == []
    connection.commit()
    assert rows(path) == [(1,)]
    with connection:
        connection.execute("insert into t values (2)")
    assert rows(path) == [(1,), (2,)]
    connection.close()
    assert len(files.table) == 0
    assert not list(Path(files.scratch).glob("own-*"))


def test_one_who_has_seen_another_state_is_refused(files: Files, path: Path) -> None:
    first, second = connect(str(path)), connect(str(path))
    first.execute("insert into t values (1)")
    second.execute("insert into t values (2)")
    first.commit()
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        second.commit()
    first.close()
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        second.close()
    again = connect(str(path))
    again.execute("insert into t values (2)")
    again.commit()
    again.close()
    assert rows(path) == [(1,), (2,)]


def test_of_a_uri_the_path_is_found(files: Files, path: Path) -> None:
    connection = connect(f"file:{path}?mode=ro", uri=True)
    assert connection.execute("select count(*) from t").fetchone() == (0,)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("insert into t values (1)")
    connection.close()
    for name, uri in ((":memory:", False), ("file::memory:", True), ("file:x?mode=memory", True)):
        connection = connect(name, uri=uri)
        assert type(connection) is sqlite3.Connection
        connection.close()


def test_a_program_s_own_class_stays_its_own(files: Files, path: Path) -> None:
    class Mine(sqlite3.Connection):
        pass

    places: tuple[Any, ...] = (5, 0, None, True, Mine)
    warned = pytest.warns(DeprecationWarning, match="positional")
    with warned if sys.version_info >= (3, 13) else contextlib.nullcontext():
        by_place = connect(str(path), *places)
    for connection in (connect(str(path), factory=Mine), by_place):
        assert isinstance(connection, Mine)
        assert type(connection).__name__ == "Mine"
        connection.close()


def test_what_cannot_be_opened_is_sqlite_s_error(files: Files, root: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="unable to open database file"):
        connect(str(root / "none" / "data.db"))


def test_a_library_is_loaded_from_a_copy(files: Files, root: Path) -> None:
    import _ctypes

    dlopen = natives.dlopen(_ctypes.dlopen)
    name = ctypes.util.find_library("m") if hasattr(ctypes, "util") else "libm.so.6"
    found = next(iter(Path("/lib").rglob(name or "libm.so.6")))
    shutil.copy(found, root / "libmine.so")
    assert dlopen(str(root / "libmine.so"), 0) != 0
    (root / "libbad.so").write_bytes(b"no library")
    with pytest.raises(OSError, match=str(root / "libbad.so")):
        dlopen(str(root / "libbad.so"), 0)
    with pytest.raises(OSError, match="No such file"):
        dlopen(str(root / "none.so"), 0)
    assert not list(Path(files.scratch).glob("own-*"))


def test_what_a_signal_handler_raises_meanwhile_is_the_programs_own(
    files: Files, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(*_: Any, **__: Any) -> Any:
        raise TimeoutError("too late")

    monkeypatch.setattr(files.remote, "ask", too_late)
    with pytest.raises(TimeoutError, match="too late"):
        connect(str(path))
