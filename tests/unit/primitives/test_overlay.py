from __future__ import annotations

import json
import sys

import pytest

from transparent_mp.primitives import overlay


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Make a module of the program's own out of the text given."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    # What one test has left must not be laid in another.
    monkeypatch.setattr(overlay, "_waiting", {})
    monkeypatch.setattr(overlay, "_inherited", set())
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        made.append(name)

    yield write
    for name in made:
        sys.modules.pop(name, None)


@pytest.fixture
def make(write):
    """Make and import one."""

    def make(name, text):
        write(name, text)
        return __import__(name)

    return make


def laid(data, **late):
    makers = {name: ("entry", make) for name, make in late.items()}
    return overlay.Overlay(lambda: data, makers)


def test_overlay_fills_in_place_and_sets_the_rest(make):
    text = "class C: pass\nn, d, l, s, c, late = 1, {1: 2}, [1], {1}, C(), None\nkept = d, l, s, c\n"
    module = make("tmp_own_c", text)
    state = module.C()
    state.x = 5
    data = {"n": 2, "d": {3: 4}, "l": [5], "s": {6}, "c": state, "late": [1], "new": "x"}
    overlay.lay({"tmp_own_c": laid(data)})
    assert (module.n, module.d, module.l, module.s, module.c.x) == (2, {3: 4}, [5], {6}, 5)
    assert all(a is b for a, b in zip(module.kept, (module.d, module.l, module.s, module.c)))
    assert (module.late, module.new) == ([1], "x")


def test_overlay_waits_for_the_import(make):
    overlay.lay({"tmp_own_d": laid({"n": 2}), "tmp_own_never": laid({"n": 3})})
    assert make("tmp_own_d", "n = 1").n == 2
    assert "tmp_own_never" not in sys.modules
    assert json is sys.modules["json"]
    sys.modules.pop("tmp_own_d")
    assert __import__("tmp_own_d").n == 1


def test_what_is_large_comes_when_it_is_used(make):
    made = []

    def big():
        made.append("BIG")
        return [7]

    overlay.lay({"tmp_own_w": laid({"n": 2}, BIG=big, OTHER=big)})
    module = make("tmp_own_w", "BIG, n = [0], 1\ndef f(): return BIG\ndef __getattr__(name): return name")
    assert (module.n, made, "BIG" in vars(module)) == (2, [], False)
    assert overlay.awaited() == {"tmp_own_w": {"BIG": "entry", "OTHER": "entry"}}
    assert module.f() is module.BIG == [7]
    assert made == ["BIG"]
    assert module.unknown == "unknown"
    assert overlay.awaited() == {"tmp_own_w": {"OTHER": "entry"}}


def test_over_a_module_that_is_there_nothing_waits(make):
    module = make("tmp_own_v", "BIG = [0]\ndef f(): return BIG")
    overlay.lay({"tmp_own_v": laid({}, BIG=lambda: [7])})
    assert module.f() == [7]
    assert not overlay.awaited().get("tmp_own_v")


def test_data_that_needs_a_module_whose_import_is_under_way_waits_for_it(make, write):
    """A registry holds functions of a module that imports it."""

    def data():
        return {"BOOK": {"first": sys.modules["tmp_over_b"].first}}

    overlay.lay({"tmp_over_a": overlay.Overlay(data, {})}, ["tmp_over_a", "tmp_over_b"])
    write("tmp_over_a", "BOOK = {}")
    module = make("tmp_over_b", "from tmp_over_a import BOOK\nseen = dict(BOOK)\ndef first(): pass")
    assert module.seen == {}
    assert {"first": module.first} == module.BOOK
    assert module.BOOK is sys.modules["tmp_over_a"].BOOK


def test_it_is_laid_also_when_that_module_fails(make, write):
    overlay.lay({"tmp_over_c": laid({"n": 2})}, ["tmp_over_c", "tmp_over_g"])
    write("tmp_over_c", "n = 1")
    with pytest.raises(ZeroDivisionError):
        make("tmp_over_g", "import tmp_over_c\n1 / 0")
    assert sys.modules["tmp_over_c"].n == 2
    assert make("tmp_over_h", "import tmp_over_c").tmp_over_c.n == 2


def test_data_is_there_for_the_module_that_brings_it(make, write):
    overlay.lay({"tmp_over_d": laid({"SIZE": 7})}, ["tmp_over_d", "tmp_over_e"])
    write("tmp_over_d", "SIZE = None")
    assert make("tmp_over_e", "import tmp_over_d\nTWICE = tmp_over_d.SIZE * 2").TWICE == 14


def test_what_was_not_imported_is_handed_on(make):
    packed = object()
    over = overlay.Overlay(lambda: {"n": 2}, {"BIG": ("entry", list)}, packed)
    overlay.lay({"tmp_over_f": over}, ["tmp_over_f", "tmp_over_never"])
    assert overlay.waiting()["tmp_over_f"] == (packed, {"BIG": "entry"})
    assert {"tmp_over_f", "tmp_over_never"} <= set(overlay.own_names())
    make("tmp_over_f", "n = 1")
    assert "tmp_over_f" not in overlay.waiting()
