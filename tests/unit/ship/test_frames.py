from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transparent_mp.ship.frames import decode, encode, pair, parted


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.booleans()), st.binary())
def test_head_and_body_come_back(head: dict[str, object], body: bytes) -> None:
    assert decode(encode(head, body)) == (head, body)


@pytest.mark.parametrize("frame", [b"", b"\n", b"[]\n", b"1\nbody", b"{", b"\xff\xfe\n"])
def test_what_is_no_frame_is_a_value_error(frame: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  whichever of json's
        decode(frame)


@given(st.binary(), st.binary())
def test_a_pair_is_parted_where_it_was_joined(first: bytes, second: bytes) -> None:
    assert parted(pair(first, memoryview(second))) == (first, second)
