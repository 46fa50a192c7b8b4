from __future__ import annotations

import io

import pytest

from transparent_mp.primitives.arrived import Content


@pytest.mark.parametrize("content", [b"", b"abc", bytearray(b"abc"), memoryview(b"abc")])
def test_it_is_read_as_a_bytesio_at_its_end(content):
    like = io.BytesIO(content)
    like.seek(len(content))
    ours = Content(content)
    assert ours.tell() == like.tell()
    assert ours.getvalue() == like.getvalue()
    assert ours.getbuffer() == like.getbuffer()
    found, expected = bytearray(b"-" * 5), bytearray(b"-" * 5)
    ours.seek(0)
    like.seek(0)
    assert ours.readinto(memoryview(found)) == like.readinto(memoryview(expected))
    assert found == expected


def test_nothing_is_copied():
    content = bytearray(b"abc")
    buffer = Content(content).getbuffer()
    content[0] = ord("x")
    assert bytes(buffer) == b"xbc"
