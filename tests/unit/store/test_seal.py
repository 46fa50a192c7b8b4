from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transparent_mp.errors import UntrustedPayloadError
from transparent_mp.store.seal import LONG, PLACES, TAG, Seal

SEAL = Seal(b"secret" * 4)


@given(st.binary(max_size=100), st.text(max_size=20))
def test_what_was_closed_for_a_place_opens_there(payload: bytes, place: str) -> None:
    assert bytes(SEAL.open(place, SEAL.close(place, payload))) == payload


@pytest.mark.parametrize("size", [0, 1, LONG - 1, LONG, 3 * LONG])
def test_what_is_moved_cut_changed_or_foreign_does_not_open(size: int) -> None:
    sealed = SEAL.close("here", b"p" * size)
    changed = bytes([sealed[0] ^ 1]) + sealed[1:]
    for place, payload in (
        ("there", sealed),
        ("here", sealed[:-1]),
        ("here", sealed + b"x"),
        ("here", changed),
        ("here", Seal(b"another").close("here", b"p" * size)),
        ("here", b""),
        ("here", sealed[: TAG - 1]),
    ):
        with pytest.raises(UntrustedPayloadError, match="was not unpickled"):
            SEAL.open(place, payload)


@given(st.lists(st.binary(max_size=9), max_size=4))
def test_a_tag_is_that_of_the_whole_however_it_is_divided(parts: list[bytes]) -> None:
    assert SEAL.tag("here", *parts) == SEAL.tag("here", b"".join(parts))


def test_of_any_number_of_places_each_has_its_own() -> None:
    fresh = Seal(b"secret" * 4)
    places = [f"place {number}" for number in range(2 * PLACES + 1)]
    tags = [fresh.tag(place, b"p") for place in places]
    assert len(set(tags)) == len(places)
    assert tags == [fresh.tag(place, b"p") for place in places] == [SEAL.tag(place, b"p") for place in places]


def test_its_secret_is_not_shown() -> None:
    assert repr(Seal(b"secret")) == "<Seal>"
