from __future__ import annotations

import sys
import types
from importlib.machinery import ModuleSpec
from typing import Any

import pytest

from transparent_mp.primitives import ahead
from transparent_mp.store.session import OwnedSession


@pytest.fixture
def numpy(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A package of that name, as if it had been imported from site-packages."""
    module = types.ModuleType("numpy")
    module.__file__ = "/python/site-packages/numpy/__init__.py"
    module.__spec__ = ModuleSpec("numpy", None, origin=module.__file__)
    monkeypatch.setitem(sys.modules, "numpy", module)
    return module


def said(session: OwnedSession, *modules: str, to: str = "it") -> Any:
    word, body = ahead.split(ahead.word(session, "it", modules) + b"body")
    assert body == b"body"
    return ahead.read(session, to, word)


def test_a_supervisor_is_told_of_large_packages_and_what_they_read(
    store_session: OwnedSession, numpy: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in ahead.os.environ if name.startswith(ahead.OF_LIBRARIES)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("MKL_CBWR", "two words")
    wanted = said(store_session, "numpy.linalg", "numpy", "json", "numpyish")
    assert wanted.modules == {"numpy": numpy.__file__, "numpy.linalg": numpy.__file__}
    assert wanted.variables == ["OMP_NUM_THREADS=3"]


def test_a_process_with_an_environment_of_its_own_is_told_with_that(
    store_session: OwnedSession, numpy: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    word = ahead.word(store_session, "it", ["numpy"], {"OMP_NUM_THREADS": "1", "HOME": "/root"})
    assert ahead.read(store_session, "it", ahead.split(word)[0]).variables == ["OMP_NUM_THREADS=1"]


def test_of_small_ones_nothing_is_said(store_session: OwnedSession) -> None:
    assert ahead.word(store_session, "it", ["json", "transparent_mp.errors"]) == ahead.NO_WORD
    assert said(store_session, "json") == ([], {}, "")


def test_a_package_that_the_program_brought_along_is_not_the_workers(
    store_session: OwnedSession, numpy: types.ModuleType
) -> None:
    numpy.__file__ = "/home/someone/program/numpy/__init__.py"
    assert said(store_session, "numpy").modules == {}


def test_a_word_for_another_process_is_ignored_and_counted(
    store_session: OwnedSession, numpy: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[int] = []
    monkeypatch.setattr(type(store_session), "refused", lambda _: refused.append(1))
    assert said(store_session, "numpy", to="another").modules == {}
    assert refused == [1]


@pytest.mark.parametrize("body", [b"", b"\0", b"\xff\xff", b"\0\x04abcdefg"])
def test_a_body_cut_short_is_no_word(store_session: OwnedSession, body: bytes) -> None:
    word, _ = ahead.split(body)
    assert ahead.read(store_session, "it", word) == ([], {}, "")


@pytest.fixture(autouse=True)
def unknown() -> None:
    """What modules of those names had in another test is forgotten."""
    ahead._named_in.cache_clear()


def module(monkeypatch: pytest.MonkeyPatch, name: str, **space: Any) -> types.ModuleType:
    """A module that is installed, with those globals."""
    made = types.ModuleType(name)
    made.__file__ = f"/python/site-packages/{name.replace('.', '/')}.py"
    vars(made).update(space)
    monkeypatch.setitem(sys.modules, name, made)
    return made


def defined_in(name: str) -> Any:
    return type("Thing", (), {"__module__": name})


def test_what_a_module_imports_is_brought_by_it(
    store_session: OwnedSession, numpy: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(monkeypatch, "numpy.linalg.deep")
    module(monkeypatch, "ahead_one", numbers=numpy)
    module(monkeypatch, "ahead_two")
    module(monkeypatch, "ahead_two.inner", Thing=defined_in("ahead_one"))
    module(monkeypatch, "ahead_three", Thing=defined_in("numpy.linalg.deep"))
    assert ahead.brought(["ahead_two.inner"]) == {"numpy"}
    assert ahead.brought(["ahead_three"]) == {"numpy", "numpy.linalg"}
    assert ahead.brought(["ahead_two", "json", "not.there"]) == set()
    assert said(store_session, "ahead_two.inner").modules == {"numpy": numpy.__file__}


def test_a_package_is_not_taken_to_import_what_it_holds(
    numpy: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = module(monkeypatch, "ahead_two.inner", numbers=numpy)
    package = module(monkeypatch, "ahead_two", inner=inner)
    assert ahead.brought(["ahead_two"]) == set()
    # It has a name of it: that it has imported.
    vars(package)["Thing"] = defined_in("ahead_two.inner")
    assert ahead.brought(["ahead_two"]) == {"numpy"}


def test_globals_of_main_are_brought_where_it_is_imported_again_only(
    numpy: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(monkeypatch, "__main__", numbers=numpy, Thing=defined_in("json"))
    assert ahead.brought(["__main__"]) == set()
    assert ahead.named_in("__main__") == {"numpy", "json"}


def test_the_standard_library_is_not_looked_into(
    numpy: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    vars(module(monkeypatch, "ahead_standard", numbers=numpy))["__file__"] = ahead.os.__file__
    assert ahead.brought(["ahead_standard"]) == set()


def test_who_starts_a_process_is_on_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    space: dict[str, Any] = {"__name__": "ahead_starter", "on_stack": ahead.on_stack}
    exec("def start():\n    return on_stack()", space)
    assert {"ahead_starter", __name__} <= space["start"]()
    assert "ahead_starter" not in ahead.on_stack()
    assert not [name for name in ahead.on_stack() if name.startswith(("transparent_mp.", "__main__"))]


def test_of_a_package_the_parts_that_main_works_with_are_wanted_too(
    store_session: OwnedSession, numpy: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    linalg = module(monkeypatch, "numpy.linalg")
    module(monkeypatch, "scipy")
    module(monkeypatch, "__main__", algebra=linalg, Thing=defined_in("scipy"))
    assert set(said(store_session, "numpy").modules) == {"numpy", "numpy.linalg"}
    assert said(store_session, "json").modules == {}
