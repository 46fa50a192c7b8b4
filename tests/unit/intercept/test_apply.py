from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Callable

import pytest

from transparent_mp.intercept.apply import Applied, UnfinishedError, copies, resolve
from transparent_mp.intercept.patches import Patch
from transparent_mp.originals import original


class Base:
    def inherited(self) -> str:
        return "plain"


class Plain(Base):
    @staticmethod
    def static() -> str:
        return "plain"


def plain() -> str:
    "What it does."
    return "plain"


def replacement(*_args: object) -> str:
    return "ours"


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("foreign_here")
    module.Plain, module.plain = Plain, plain  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "foreign_here", module)
    ours = types.ModuleType("ours_here")
    ours.__spec__ = types.SimpleNamespace(_initializing=False)  # type: ignore[assignment]
    ours.replacement = replacement  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ours_here", ours)
    return module


def row(name: str, to: str = "ours_here:replacement", *, lazy: bool = False, optional: bool = False) -> Patch:
    return Patch("foreign_here", name, to, "test", lazy=lazy, optional=optional)


@pytest.mark.parametrize("name", ["plain", "Plain.static", "Plain.inherited"])
def test_name_is_replaced_and_given_back(foreign: types.ModuleType, name: str) -> None:
    before = dict(vars(foreign)), dict(vars(Plain))
    applied = Applied()
    applied.apply(foreign, [row(name)])
    holder = Plain if "." in name else foreign
    assert vars(holder)[name.rpartition(".")[2]] is replacement
    assert original("foreign_here", name) is not replacement
    applied.close()
    assert (dict(vars(foreign)), dict(vars(Plain))) == before


def test_original_of_a_name_that_is_not_replaced_is_what_is_there(foreign: types.ModuleType) -> None:
    assert original("foreign_here", "plain") is plain
    assert original("foreign_here", "Plain.static") is Plain.static


def test_applied_twice_is_given_back_once(foreign: types.ModuleType) -> None:
    applied = Applied()
    applied.apply(foreign, [row("plain")])
    applied.apply(foreign, [row("plain")])
    assert original("foreign_here", "plain") is plain
    applied.close()
    assert foreign.plain is plain


def test_module_executed_again_is_replaced_again(foreign: types.ModuleType) -> None:
    def again() -> None: ...

    applied = Applied()
    applied.apply(foreign, [row("plain")])
    foreign.plain = again  # what reload() does
    applied.apply(foreign, [row("plain")])
    assert foreign.plain is replacement
    applied.close()
    assert foreign.plain is again


def test_what_someone_else_put_there_since_stays(foreign: types.ModuleType) -> None:
    def theirs() -> None: ...

    applied = Applied()
    applied.apply(foreign, [row("plain")])
    foreign.plain = theirs
    applied.close()
    assert foreign.plain is theirs


def test_nothing_is_applied_after_close(foreign: types.ModuleType) -> None:
    applied = Applied()
    applied.close()
    applied.apply(foreign, [row("plain")])
    assert foreign.plain is plain
    assert original("foreign_here", "plain") is plain


def test_a_library_may_lack_a_name_and_says_so(
    foreign: types.ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    foreign.__file__ = str(tmp_path / "site-packages" / "foreign_here.py")
    applied = Applied()
    assert len(applied.apply(foreign, [row("missing"), row("plain")])) == 1
    assert foreign.plain is replacement
    assert "foreign_here has no missing" in caplog.text
    applied.close()


def test_the_standard_library_may_not(foreign: types.ModuleType) -> None:
    foreign.__file__ = os.path.join(os.path.dirname(os.__file__), "foreign_here.py")
    with pytest.raises(ImportError, match="has no missing"):
        Applied().apply(foreign, [row("missing")])


def test_optional_name_may_be_missing(foreign: types.ModuleType) -> None:
    assert Applied().apply(foreign, [row("missing", optional=True)]) == []


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (row("missing"), "has no missing, which transparent_mp replaces"),
        (
            row("plain", "ours_here:missing"),
            "ours_here has no missing, the replacement of foreign_here.plain",
        ),
        (row("plain", "no_such_module:x"), "no_such_module"),
    ],
)
def test_table_that_does_not_fit_is_an_import_error_and_sets_nothing(
    foreign: types.ModuleType, bad: Patch, message: str
) -> None:
    with pytest.raises(ImportError, match=message):
        Applied().apply(foreign, [row("Plain.static"), bad])
    assert foreign.Plain.static() == "plain"


def test_replacement_that_is_still_being_imported_is_told_apart(foreign: types.ModuleType) -> None:
    sys.modules["ours_here"].__spec__._initializing = True  # type: ignore[union-attr]
    assert resolve(row("plain")) is replacement
    with pytest.raises(UnfinishedError) as caught:
        resolve(row("plain", "ours_here:missing"))
    assert caught.value.name == "ours_here"


class TestStandIn:
    @pytest.fixture
    def stand_in(self, foreign: types.ModuleType) -> Callable[..., str]:
        Applied().apply(foreign, [row("plain", lazy=True)], start_up=True)
        result: Callable[..., str] = foreign.plain
        return result

    def test_imports_at_the_first_call(
        self, stand_in: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(sys.modules["ours_here"], "replacement")
        with pytest.raises(ImportError, match="ours_here has no replacement"):
            stand_in()
        monkeypatch.undo()

    def test_calls_the_replacement(self, stand_in: Callable[..., str], foreign: types.ModuleType) -> None:
        assert stand_in() == "ours"
        assert foreign.plain is stand_in

    def test_looks_like_the_original(self, stand_in: Callable[..., str]) -> None:
        assert (stand_in.__name__, stand_in.__module__) == ("plain", "foreign_here")
        assert stand_in.__doc__ == "What it does."
        assert stand_in.__wrapped__ is plain  # type: ignore[attr-defined]

    def test_is_the_original_while_the_replacement_is_imported(
        self, stand_in: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as while_importing:
            while_importing.delattr(sys.modules["ours_here"], "replacement")
            while_importing.setattr(sys.modules["ours_here"].__spec__, "_initializing", True)
            assert stand_in() == "plain"
        assert stand_in() == "ours"

    def test_is_the_original_when_nothing_can_be_imported_any_more(
        self, stand_in: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "meta_path", None)
        assert stand_in() == "plain"

    def test_is_for_start_up_only(self, foreign: types.ModuleType) -> None:
        Applied().apply(foreign, [row("plain", lazy=True)])
        assert foreign.plain is replacement


def test_copies_are_found_in_other_people_s_modules(
    foreign: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("app_here", "transparent_mp.copy_here"):
        module = types.ModuleType(name)
        module.mine = plain  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "odd_here", object())  # type: ignore[arg-type]
    monkeypatch.delitem(globals(), "plain")
    places = Applied().apply(foreign, [row("plain")])
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "app_here", module)
    assert list(copies(places)) == [
        f"{__name__}.plain (foreign_here.plain)",
        "app_here.mine (foreign_here.plain)",
    ]


@pytest.mark.parametrize("name", ["plain", "Plain.static", "Plain.inherited"])
def test_row_that_wraps_is_given_the_original(foreign: types.ModuleType, name: str) -> None:
    def wrapping(stock: Callable[..., str]) -> Callable[..., str]:
        call = getattr(stock, "__func__", stock)
        return lambda *args: "wrapped " + call(*args)

    sys.modules["ours_here"].wrapping = wrapping  # type: ignore[attr-defined]
    before = dict(vars(foreign)), dict(vars(Plain))
    wraps = Patch("foreign_here", name, "ours_here:wrapping", "test", wraps=True)
    applied = Applied()
    # A second time it would find its own value there.
    for _ in range(2):
        applied.apply(foreign, [wraps])
    holder = Plain if "." in name else foreign
    value = vars(holder)[name.rpartition(".")[2]]
    assert value(*[None] * (name == "Plain.inherited")) == "wrapped plain"
    applied.close()
    assert (dict(vars(foreign)), dict(vars(Plain))) == before
