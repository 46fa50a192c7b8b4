from __future__ import annotations

import hashlib
import pickle
import sys
import types
from typing import Any

import pytest

from transparent_mp.primitives import main_globals, packing
from transparent_mp.primitives.packing import LARGE, Bounded, Solo, TooLargeError, is_large, kept, note_large


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_large", {})


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The dict of a module."""
    module = types.ModuleType("tmp_packing")
    monkeypatch.setitem(sys.modules, "tmp_packing", module)
    return vars(module)


def test_a_pickle_stops_where_it_becomes_large() -> None:
    bounded = Bounded()
    written = []

    class Slowly:
        def __reduce__(self) -> Any:
            written.append(1)
            return bytes, (b"x" * (LARGE // 4),)

    with pytest.raises(TooLargeError):
        Solo({})._dump(bounded, [Slowly() for _ in range(100)], None)
    assert len(written) < 8
    # The next has as much room again.
    bounded.allow()
    bounded.write(b"x" * LARGE)
    with pytest.raises(TooLargeError):
        bounded.write(b"x")
    bounded.allow(any_size=True)
    bounded.write(b"x" * 2 * LARGE)


def test_a_large_buffer_is_not_even_copied() -> None:
    class Array:
        def __reduce_ex__(self, protocol: int) -> Any:
            return bytes, (pickle.PickleBuffer(bytearray(2 * LARGE)),)

    with pytest.raises(TooLargeError):
        Solo({}).pack_small(Array())


def test_parts_of_what_is_large_go_by_digest() -> None:
    data = bytearray(2 * LARGE)
    solo = Solo({})
    apart = solo.pack([pickle.PickleBuffer(data), pickle.PickleBuffer(bytes(LARGE)), "small"])
    assert [readonly for _, readonly in apart.buffers] == [False, True]
    assert set(solo.externals) == {hashlib.sha256(part).hexdigest() for part in (data, bytes(LARGE))}
    assert len(apart.stream) < 1000
    text = solo.pack("x" * 2 * LARGE)
    assert text.stream in solo.externals


def test_large_is_known_by_size_and_remembered_by_identity() -> None:
    assert is_large("m", "n", bytes(2 * LARGE))
    assert not is_large("m", "other", b"small")
    value = types.SimpleNamespace()
    assert not is_large("m", "o", value)
    note_large("m", "o", value)
    assert is_large("m", "o", value)
    assert not is_large("m", "o", types.SimpleNamespace())


def test_what_is_kept_is_packed_on_request(space: dict[str, Any]) -> None:
    space["DATA"] = data = list(range(10))
    fields, externals = kept("tmp_packing", "DATA")
    assert (fields[0], pickle.loads(fields[1]), fields[2], externals) == ("list", data, (), {})


def test_what_cannot_be_packed_is_a_stand_in_that_says_so(space: dict[str, Any]) -> None:
    space["POOL"] = (number for number in ())
    lost = pickle.loads(kept("tmp_packing", "POOL")[0][1])
    with pytest.raises(TypeError, match=r"'POOL' of tmp_packing \(generator\).*frame is running"):
        lost.anything  # noqa: B018
    gone = pickle.loads(kept("tmp_packing", "GONE")[0][1])
    with pytest.raises(main_globals.LostGlobalError, match="KeyError"):
        gone.anything  # noqa: B018


def test_no_two_refer_to_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    main = sys.modules["__main__"]
    # Objects of types that pickle asks how to reduce: a list's elements go with it.
    first, second = types.SimpleNamespace(), types.SimpleNamespace()
    first.other, second.other = second, first
    monkeypatch.setattr(main, "TMP_FIRST", first, raising=False)
    monkeypatch.setattr(main, "TMP_SECOND", second, raising=False)
    note_large("__main__", "TMP_FIRST", first)
    note_large("__main__", "TMP_SECOND", second)
    # The first is whole, the second has the first by name.
    assert b"TMP_" not in kept("__main__", "TMP_FIRST")[0][1]
    packed = kept("__main__", "TMP_SECOND")[0][1]
    assert b"TMP_FIRST" in packed
    assert pickle.loads(packed).other is first
