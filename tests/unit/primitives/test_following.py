from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from transparent_mp.primitives.following import follow


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Modules that can be imported, and are gone after the test."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path))
    names = ["tmp_follow_a", "tmp_follow_b"]
    for name in names:
        (tmp_path / f"{name}.py").write_text("seen = list(globals().get('before', ()))")
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield names
    for name in names:
        sys.modules.pop(name, None)


def test_a_module_is_followed_once_around_its_code(names: list[str]) -> None:
    happened: list[str] = []
    follow(
        names[0],
        lambda module: happened.append(f"after {module.seen}"),
        lambda module: vars(module).update(before=[1]),
    )
    follow(names[1], lambda module: happened.append(module.__name__))
    assert not happened
    __import__(names[0])
    assert happened == ["after [1]"]
    __import__(names[1])
    del sys.modules[names[0]]
    __import__(names[0])
    assert happened == ["after [1]", names[1]]


def test_all_who_follow_a_module_are_called(names: list[str]) -> None:
    happened: list[int] = []
    for number in range(2):
        follow(names[0], lambda _, number=number: happened.append(number))  # type: ignore[misc]
    __import__(names[0])
    assert happened == [0, 1]


def test_one_finder_serves_all(names: list[str]) -> None:
    before = len(sys.meta_path)
    for name in names:
        follow(name, lambda module: None)
    assert len(sys.meta_path) == before + 1


@pytest.mark.usefixtures("names")
def test_what_is_not_there_is_not_made() -> None:
    follow("tmp_follow_none", lambda module: None)
    with pytest.raises(ModuleNotFoundError):
        __import__("tmp_follow_none")


def test_it_goes_before_a_finder_that_came_in_front(names: list[str]) -> None:
    happened: list[str] = []
    follow(names[0], lambda module: happened.append(module.__name__))

    class Front:
        def find_spec(self, name: str, path: object = None, target: object = None) -> object:
            return PathFinder.find_spec(name) if name in names else None

    sys.meta_path.insert(0, Front())  # type: ignore[arg-type]
    follow(names[1], lambda module: happened.append(module.__name__))
    for name in names:
        __import__(name)
    assert happened == names


def test_the_end_is_told_also_of_a_module_that_fails(names: list[str]) -> None:
    happened: list[str] = []
    follow(
        names[0],
        lambda _: happened.append("after"),
        lambda module: vars(module).update(globals=None),
        lambda module: happened.append(f"the end of {module.__name__}"),
    )
    with pytest.raises(TypeError):
        __import__(names[0])
    assert happened == [f"the end of {names[0]}"]
