from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator

import pytest

from transparent_mp.originals import forget, original, remember


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    module = types.ModuleType("someones")
    module.name = "ours"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "someones", module)
    yield module
    forget("someones", "name")


def test_original_of_a_replaced_name_is_what_was_remembered() -> None:
    remember("someones", "name", "plain")
    assert original("someones", "name") == "plain"
    forget("someones", "name")
    assert original("someones", "name") == "ours"


def test_original_of_any_other_name_is_what_the_module_has() -> None:
    assert original("os.path", "join") is os.path.join
    assert original("collections", "OrderedDict.fromkeys").__self__.__name__ == "OrderedDict"


def test_missing_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="missing"):
        original("someones", "missing")


def test_forgetting_what_is_not_known_is_allowed() -> None:
    forget("someones", "unknown")
