"""The README's table of settings says what config.py says."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from transparent_mp.config import Config, variable

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def rows() -> dict[str, str]:
    """The table of settings: variable -> default, as written."""
    found = re.findall(r"^\| `(TRANSPARENT_MP_[A-Z_]+)` \| ([^|]*?) \| [^|]+ \|$", README, re.MULTILINE)
    names = [name for name, _ in found]
    assert len(names) == len(set(names)), "a setting stands in the table twice"
    return dict(found)


@pytest.mark.parametrize("field", dataclasses.fields(Config), ids=lambda field: field.name)
def test_each_setting_stands_in_the_table_with_its_default(field: dataclasses.Field[object]) -> None:
    default = field.default
    if not default:  # "" and 0 mean something that the table says in words
        assert not rows()[variable(field.name)].startswith("`")
    else:
        shown = f"{default:g}" if isinstance(default, float) else str(default)
        assert rows()[variable(field.name)] == f"`{shown}`"


def test_the_table_has_no_setting_that_is_gone() -> None:
    known = {variable(field.name) for field in dataclasses.fields(Config)}
    assert set(rows()) <= known
