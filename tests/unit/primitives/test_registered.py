from __future__ import annotations

import builtins
import copyreg
import csv
import logging
import sys
import threading
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
