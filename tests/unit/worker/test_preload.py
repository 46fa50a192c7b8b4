from __future__ import annotations

import logging
import sys

import pytest

from transparent_mp.worker import preload


def test_what_was_imported_of_the_standard_library(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "the_programs_own.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("colorsys", "the_programs_own", "this_is_no_module"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    had = frozenset(sys.modules)
    import colorsys  # noqa: F401

    import the_programs_own  # type: ignore[import-not-found]  # noqa: F401

    monkeypatch.setitem(sys.modules, "this_is_no_module", None)
    assert preload.imported(had) == ["colorsys"]


@pytest.mark.parametrize("name", ["pytest", "__main__"])
def test_what_is_installed_or_the_program_is_not_of_it(name: str) -> None:
    assert name in sys.modules
    assert name not in preload.imported(())


def test_modules_that_act_are_left_alone(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    import test

    monkeypatch.setitem(sys.modules, "test", test)
    assert "test" not in preload.imported(())


def test_a_module_that_cannot_be_imported_is_each_processs_own_matter(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, "transparent_mp"):
        preload.also("there_is_no_such_module")
    assert "there_is_no_such_module" in caplog.text
