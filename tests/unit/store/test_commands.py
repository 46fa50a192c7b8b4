from __future__ import annotations

import hiredis
import pytest

from transparent_mp.store.commands import SCATTER, Ready, joined, packed

SMALL = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"


def test_numbers_are_spelled_where_a_signal_handler_may_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    # What hiredis spells itself it reads from nowhere when a handler raises meanwhile: the process crashed.
    seen: list[tuple[object, ...]] = []
    real = hiredis.pack_command

    def pack(command: tuple[object, ...]) -> bytes:
        seen.append(command)
        return real(command)

    monkeypatch.setattr(hiredis, "pack_command", pack)
    for command in (("SET", "key", 1.5), ("LPOP", b"list", 7)):
        packed(command)  # type: ignore[arg-type]
    assert seen == [("SET", "key", "1.5"), ("LPOP", b"list", "7")]


def test_what_is_ready_is_packed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = Ready(("GET", b"k"))
    assert ready == ("GET", b"k")
    monkeypatch.delattr(hiredis, "pack_command")
    assert packed(ready) == SMALL


@pytest.mark.parametrize("large", [b"x" * SCATTER, bytearray(SCATTER), memoryview(b"y" * SCATTER)])
def test_what_is_large_is_not_copied(large: bytes | bytearray | memoryview) -> None:
    pieces = packed(("SET", large, "z"))
    assert bytes(pieces[1]) == bytes(large)
    assert memoryview(pieces[1]).obj is memoryview(large).obj
    assert b"".join(pieces) == hiredis.pack_command(("SET", bytes(large), "z"))


def test_what_is_small_goes_with_what_is_beside_it() -> None:
    large = b"x" * SCATTER
    commands = [("GET", "k"), ("GET", "k"), ("SET", "l", large), ("GET", bytearray(b"k")), ("GET", "k")]
    pieces = joined([packed(command) for command in commands])  # type: ignore[arg-type]
    assert len(pieces) == 3
    head = b"*3\r\n$3\r\nSET\r\n$1\r\nl\r\n$%d\r\n" % SCATTER
    assert b"".join(pieces) == SMALL * 2 + head + large + b"\r\n" + SMALL * 2
