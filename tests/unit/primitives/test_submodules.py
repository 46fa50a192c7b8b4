from __future__ import annotations

import sys
import types

import pytest

from transparent_mp.primitives.submodules import mentioned, reached


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tmp_p", "tmp_p.a", "tmp_p.a.b", "tmp_p.c"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))


@pytest.mark.usefixtures("tree")
def test_what_code_spells_is_reached_parents_first() -> None:
    assert reached(["tmp_p"], {"a", "b"}) == ["tmp_p.a", "tmp_p.a.b"]
    assert reached(["tmp_p"], {"b", "c"}) == ["tmp_p.c"]
    assert reached(["tmp_p.a"], {"b"}) == ["tmp_p.a.b"]


@pytest.mark.usefixtures("tree")
def test_a_module_that_came_since_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reached(["tmp_p"], {"late"}) == []
    monkeypatch.setitem(sys.modules, "tmp_p.late", types.ModuleType("tmp_p.late"))
    assert reached(["tmp_p"], {"late"}) == ["tmp_p.late"]


def test_names_of_inner_code_count() -> None:
    def outer() -> object:
        return lambda: sys.path.copy  # never called

    assert {"sys", "path", "copy"} <= mentioned(outer.__code__)
