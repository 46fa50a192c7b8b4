from __future__ import annotations

import pickle

import pytest

from transparent_mp.primitives.several import divided, joined


@pytest.mark.parametrize("values", [[1], [None], [1, "two", b"M" * 100], [b""] * 64])
def test_what_was_joined_is_divided(values):
    content = joined([pickle.dumps(value, 4) for value in values])
    assert [pickle.loads(part) for part in divided(content)] == values
    assert [pickle.loads(part) for part in divided(memoryview(content))] == values


def test_one_is_not_copied():
    content = pickle.dumps([1])
    assert joined([content]) is content
    assert divided(content)[0] is content


@pytest.mark.parametrize("content", [b"M", b"M\x02\0\0\0\x01\0\0\0", b"M\x01\0\0\0\x09\0\0\0short"])
def test_what_was_not_joined(content):
    with pytest.raises(ValueError, match="several pickles"):
        divided(content)
