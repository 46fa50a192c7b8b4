from __future__ import annotations

import builtins
import copyreg
import csv
import logging
import mimetypes
import sys
import threading
from importlib.machinery import PathFinder
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pytest

from transparent_mp.primitives import registered


class Kind:
    pass


def reduce_kind(kind: Kind) -> Any:
    return Kind, ()


def test_of_what_a_fresh_interpreter_has_there_is_nothing() -> None:
    # pytest has hooks of its own for what nobody catches.
    assert not registered.names()
    assert not registered.dialects(csv)
    assert not registered.logging_types()


def test_names_among_the_builtins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "_", str.upper, raising=False)
    monkeypatch.setattr(builtins, "MARK", 3, raising=False)
    found = registered.names()
    assert found == {"_": str.upper, "MARK": 3}
    monkeypatch.delattr(builtins, "MARK")
    registered.add_names(found)
    assert vars(builtins)["MARK"] == 3
    # What monkeypatch took away it puts back.
    del builtins.MARK  # type: ignore[attr-defined]
    monkeypatch.setattr(builtins, "MARK", 3, raising=False)


def test_a_name_among_the_builtins_that_is_another_s_by_now(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not registered.names()
    monkeypatch.setattr(builtins, "print", 3)
    assert registered.names() == {"print": 3}
    monkeypatch.undo()
    assert not registered.names()


def test_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    def hook(*_: object) -> None:
        pass

    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setattr(sys, "displayhook", hook)
    found = registered.hooks()
    assert found["sys.displayhook"] is hook
    assert "sys.excepthook" not in found
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    registered.set_hooks({"sys.excepthook": hook, "threading.excepthook": hook})
    assert sys.excepthook is threading.excepthook is hook


def test_reducers_are_those_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduce_kind, "__module__", "__main__")
    table: Any = copyreg.dispatch_table
    monkeypatch.setitem(table, Kind, reduce_kind)
    extra: Any = ForkingPickler._extra_reducers  # type: ignore[attr-defined]
    assert registered.reducers() == ([(Kind, reduce_kind)], [])
    monkeypatch.delitem(table, Kind)
    monkeypatch.setitem(extra, Kind, reduce_kind)
    assert registered.reducers() == ([], [(Kind, reduce_kind)])
    registered.add_reducers(([(Kind, reduce_kind)], []))
    assert table.pop(Kind) is reduce_kind


def test_dialects() -> None:
    csv.register_dialect("bars", delimiter="|", quoting=csv.QUOTE_NONE)
    before = csv.field_size_limit(77)
    try:
        found = registered.dialects(csv)
        csv.unregister_dialect("bars")
        csv.field_size_limit(before)
        registered.set_dialects(found)
        assert csv.field_size_limit() == 77
        assert csv.get_dialect("bars").delimiter == "|"
        assert csv.get_dialect("bars").quoting == csv.QUOTE_NONE
    finally:
        csv.unregister_dialect("bars")
        csv.field_size_limit(before)


def test_types_of_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    class Named(logging.Logger):
        pass

    monkeypatch.setattr(logging, "raiseExceptions", False)
    monkeypatch.setattr(logging, "_loggerClass", Named)
    found = registered.logging_types()
    assert found == {"class": Named, "silent": True}
    monkeypatch.setattr(logging, "_loggerClass", logging.Logger)
    monkeypatch.setattr(logging, "raiseExceptions", True)
    registered.set_logging_types(found)
    assert logging.getLoggerClass() is Named
    assert not logging.raiseExceptions


class Finder:
    """Of nothing."""


def test_finders_are_those_of_the_program_where_they_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "_is_programs", lambda kind: kind.__module__ == __name__)
    standing: list[Any] = list(sys.meta_path)
    monkeypatch.setattr(sys, "meta_path", standing)
    assert registered.finders() == []
    first, last = Finder(), type("Other", (), {"__module__": __name__})
    standing[:0], standing[len(standing) :] = [first], [last]
    found = registered.finders()
    assert found == [(True, first), (False, last)]
    del standing[0], standing[-1]
    behind = standing[standing.index(PathFinder) + 1 :]
    registered.add_finders(found)
    assert standing[0] is first
    assert standing[standing.index(PathFinder) + 1 :] == [last, *behind]
    # A module may have put its own there by now.
    registered.add_finders([(True, Finder())])
    assert standing.count(first) == sum(type(finder) is Finder for finder in standing) == 1


def test_types_of_files() -> None:
    assert registered.types_of_files(mimetypes) == []
    mimetypes.add_type("made/up", ".made")
    try:
        found = registered.types_of_files(mimetypes)
        mimetypes.init()
        assert mimetypes.guess_type("a.made") == (None, None)
        registered.set_types_of_files(found)
        assert mimetypes.guess_type("a.made") == ("made/up", None)
        assert mimetypes.guess_all_extensions("made/up") == [".made"]
        assert mimetypes.types_map[".made"] == "made/up"
    finally:
        mimetypes.init()
    assert registered.types_of_files(mimetypes) == []
