from __future__ import annotations

import sys
import types
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from transparent_mp.primitives import own_modules, unchanged
from transparent_mp.primitives.packing import Apart

HOME = "a_home_of_test_unchanged"
CODE = """
def function(): pass
class Class: pass
"""


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A module with a function and a class, whose code names them."""
    module = types.ModuleType(HOME)
    exec(CODE, vars(module))
    monkeypatch.setitem(sys.modules, HOME, module)
    monkeypatch.setattr(own_modules, "made_late", lambda obj: obj.__name__ == "late")
    yield module
    unchanged._last.pop("m", None)


class Packing:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> unchanged.Packed:
        self.times += 1
        return Apart("dict", b"%d" % self.times, ()), {"name"}, {"mentioned"}

    def of(self, data: dict[str, Any], known: dict[int, str] | None = None) -> bool:
        """Whether that data is packed anew."""
        before = self.times
        found = unchanged.packed("m", data, known or {}, self)
        assert found == (Apart("dict", b"%d" % self.times, ()), {"name"}, {"mentioned"})
        return self.times > before


@pytest.fixture
def packing(home: types.ModuleType) -> Packing:
    return Packing()


def data_of(home: types.ModuleType) -> dict[str, Any]:
    shared = ["a", 2.5, None, b"bytes"]
    return {
        "number": 1 << 70,
        "texts": {"one": ("x", "y"), "two": shared},
        "again": shared,
        "set": {"z"},
        "function": {"f": home.function},
        "classes": [home.Class, home.Class],
    }


def test_data_that_is_the_same_is_packed_once(home: types.ModuleType, packing: Packing) -> None:
    data = data_of(home)
    assert packing.of(data)
    assert not packing.of(data)
    # Its containers need not be the same, where they are alike.
    assert not packing.of(dict(data))


def set_number(data: dict[str, Any], _home: Any) -> None:
    data["number"] = 1 << 71


def equal_but_another_type(data: dict[str, Any], _home: Any) -> None:
    data["again"][1] = 2.5 + 0j


def append(data: dict[str, Any], _home: Any) -> None:
    data["again"].append("more")


def deep(data: dict[str, Any], _home: Any) -> None:
    data["texts"]["one"] = ("x", "other")


def rename(data: dict[str, Any], _home: Any) -> None:
    data["renamed"] = data.pop("number")


def not_shared_any_more(data: dict[str, Any], _home: Any) -> None:
    data["again"] = list(data["again"])


def another_container(data: dict[str, Any], _home: Any) -> None:
    data["texts"]["one"] = list(data["texts"]["one"])


def another_function(data: dict[str, Any], home: Any) -> None:
    exec(CODE, vars(home))
    data["function"]["f"] = home.function


@pytest.mark.parametrize(
    "change",
    [set_number, equal_but_another_type, append, deep, rename, not_shared_any_more, another_container,
     another_function],
)  # fmt: skip
def test_whatever_changes_is_seen(home: types.ModuleType, packing: Packing, change: Any) -> None:
    data = data_of(home)
    assert packing.of(data)
    change(data, home)
    assert packing.of(data)


def replaced(home: Any) -> Any:
    function = home.function
    home.function = lambda: None
    return function


def of_main(_home: Any) -> Any:
    return types.FunctionType((lambda: None).__code__, vars(sys.modules["__main__"]), "function")


def nested(_home: Any) -> Any:
    return lambda: None


def by_value(home: Any) -> Any:
    home.late = types.FunctionType((lambda: None).__code__, vars(home), "late")
    home.late.__module__ = HOME
    return home.late


@pytest.mark.parametrize(
    "make",
    [replaced, of_main, nested, by_value, lambda _: object(), lambda _: "x" * 5000, lambda _: ["x"] * 3000],
)
def test_what_is_not_seen_at_a_glance_is_packed_each_time(
    home: types.ModuleType, packing: Packing, make: Any
) -> None:
    data = {"value": make(home)}
    assert packing.of(data)
    assert packing.of(data)


def test_what_goes_by_its_name_in_main_is_packed_each_time(home: types.ModuleType, packing: Packing) -> None:
    data, known = {"value": home.function}, {id(home.function): "function"}
    assert packing.of(data, known)
    assert packing.of(data, known)


def test_while_a_module_goes_by_value_all_are_packed(home: types.ModuleType, packing: Packing) -> None:
    data = data_of(home)
    assert packing.of(data)
    with own_modules.by_value(home):
        assert packing.of(data)
    assert packing.of(data)


def test_functions_and_classes_are_not_kept(home: types.ModuleType, packing: Packing) -> None:
    assert packing.of({"value": home.function})
    ended = weakref.ref(home.function)
    del home.function
    assert ended() is None
