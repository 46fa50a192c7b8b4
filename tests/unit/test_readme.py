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


def test_the_costs_are_computed_right() -> None:
    memory, x86, arm = 1769 / 1024, 0.0000166667, 0.0000133334
    assert f"${memory * x86 * 3600:.3f} an hour; on arm64 ${memory * arm * 3600:.3f}" in README
    seconds = 100 * 103 * memory
    assert f"{seconds:,.0f} GB-seconds, ${seconds * x86:.2f} (arm64: ${seconds * arm:.2f})" in " ".join(
        README.split()
    )
    assert f"{1000 * 10 / 3600:.1f} hours of one CPU" in README
    assert f"costs ${100 * 3600 * memory * x86:.2f}" in README
