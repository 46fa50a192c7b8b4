from __future__ import annotations

import hashlib
import sys

import pytest

from transparent_mp.store.pieces import (
    LARGE,
    Entry,
    Piece,
    Pieces,
    divided,
    entries,
    filled,
    laid_out,
    layout,
)

MIXED = (
    Piece(b"one"),
    Piece(b"two"),
    Piece(b"apart", apart=True),
    Piece(b"elsewhere", elsewhere=True, digest=b"d" * 32),
    Piece(b"three"),
    Piece(b"", apart=True),
)


def test_a_content_is_as_long_as_its_pieces() -> None:
    assert len(Pieces(MIXED)) == sum(len(one.buffer) for one in MIXED)


def test_what_a_message_says_of_them_can_be_read() -> None:
    found, rest = entries(memoryview(layout(MIXED) + b"behind"))
    assert bytes(rest) == b"behind"
    said = [(one.size, one.apart, one.elsewhere, one.digest.strip(b"\0")) for one in found]
    assert said == [(len(one.buffer), one.apart, one.elsewhere, one.digest) for one in MIXED]


def test_room_of_the_stream_is_one_and_what_is_apart_has_its_own() -> None:
    rooms = list(laid_out(entries(memoryview(layout(MIXED)))[0]))
    for (_, room), piece in zip(rooms, MIXED):
        if not piece.elsewhere:
            room[:] = piece.buffer
    content = filled(rooms)
    assert isinstance(content, Pieces)
    assert [bytes(one.buffer) for one in content.pieces] == [b"onetwo", b"apart", b"", b"three", b""]
    assert [bytes(one) for one in content.apart] == [b"apart", b""]
    assert not any(memoryview(one).readonly for one in content.apart)
    assert content.pieces[2].elsewhere
    assert content.pieces[2].digest == b"d" * 32


@pytest.mark.parametrize("streams", [(b"whole",), (b"who", b"le")])
def test_a_stream_alone_is_no_pieces(streams: tuple[bytes, ...]) -> None:
    found, _ = entries(memoryview(layout([Piece(one) for one in streams])))
    rooms = list(laid_out(found))
    for (_, room), one in zip(rooms, streams):
        room[:] = one
    assert filled(rooms) == b"whole"
    assert divided(found, b"whole") == b"whole"


def test_pieces_that_came_as_one_are_divided() -> None:
    content = divided(entries(memoryview(layout(MIXED)))[0], b"onetwoapartthree")
    assert isinstance(content, Pieces)
    assert [bytes(one.buffer) for one in content.pieces] == [b"onetwo", b"apart", b"", b"three", b""]


def test_a_digest_is_made_once() -> None:
    piece = Piece(b"content").digested()
    assert piece.digest == hashlib.sha256(b"content").digest()
    assert piece.digested() is piece


@pytest.mark.parametrize("numpy", [True, False], ids=["with numpy", "without"])
@pytest.mark.parametrize("size", [1, LARGE])
def test_room_for_what_is_apart_can_be_written_with_numpy_and_without(
    monkeypatch: pytest.MonkeyPatch, numpy: bool, size: int
) -> None:
    if numpy:
        pytest.importorskip("numpy")
    else:
        monkeypatch.delitem(sys.modules, "numpy", raising=False)
    ((_, room),) = laid_out([Entry(size, b"", True, False)])
    room[:] = b"x" * size
    assert bytes(room) == b"x" * size
    assert room.format == "B"
