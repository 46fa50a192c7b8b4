from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transparent_mp.hidden import Address, Hiding
from transparent_mp.json_text import dumps, loads

ROOT = Path(__file__).resolve().parents[2]

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
KEYS = st.text() | st.integers() | st.booleans() | st.none() | st.floats()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner))


@given(VALUES)
def test_it_is_what_json_writes(value: Any) -> None:
    assert dumps(value) == json.dumps(value, separators=(",", ":"))


@given(VALUES)
def test_it_reads_what_json_reads(value: Any) -> None:
    text = json.dumps(value)
    assert json.dumps(loads(text)) == json.dumps(loads(text.encode())) == json.dumps(json.loads(text))


@pytest.mark.parametrize("text", ["", "{", b"\xff", "[1] 2"])
def test_what_is_no_json_is_refused(text: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of any kind
        loads(text)


def test_a_program_may_replace_json_s_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("dumps", "loads"):
        monkeypatch.setattr(json, name, None)
    assert loads(dumps({"a": [1, 2.5, None]})) == {"a": [1, 2.5, None]}


def test_tuples_and_the_types_that_hide_are_what_they_are_for_json() -> None:
    value = Hiding(url=Address("redis://user:word@host"), pair=(1, 2.5), empty=())
    assert json.loads(dumps(value)) == {"url": "redis://user:word@host", "pair": [1, 2.5], "empty": []}


@pytest.mark.parametrize("value", [b"bytes", {1}, {b"key": 1}, {"deep": [object()]}])
def test_what_json_has_no_word_for_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        dumps(value)


def test_nothing_of_it_is_interned() -> None:
    """In a fresh interpreter, since tests' own tools write JSON too."""
    look = "[marshal.dumps(chr(number)) for number in range(128) if not chr(number).isidentifier()]"
    code = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
import marshal
from transparent_mp.json_text import dumps
before = {look}
dumps({{"a": [1, {{"b": ()}}], 1: {{}}, None: "text", "c": 1.5, "d": True}})
print(before == {look})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
