from __future__ import annotations

import pytest

from transparent_mp.errors import UntrustedPayloadError
from transparent_mp.primitives import ahead
from transparent_mp.ship.frames import decode, encode, pair
from transparent_mp.store.content import BLOB, pack
from transparent_mp.store.session import OwnedSession, new_id
from transparent_mp.worker import orders

COMMON = b"common"


def frame_of(session: OwnedSession, content: bytes, of: str = "") -> bytes:
    """That of a process, whose body was sealed for `of`, if it is not this one's own."""
    uid = new_id()
    commands, body = pack(session, "process:" + (of or uid), content, name=uid)
    if commands:
        session.store.call(*commands)
    return encode({"kind": "run", "pid": 5_000_017, "uid": uid, "name": "p"}, ahead.NO_WORD + body)


def given(session: OwnedSession, frame: bytes, common: bytes = COMMON) -> bytes:
    return orders.given(session, *decode(frame), frame, common)


def test_a_copy_is_given_the_object_alone(session: OwnedSession) -> None:
    frame = frame_of(session, pair(COMMON, b"object\n= of lines"))
    order = orders.read(given(session, frame))
    assert order is not None
    assert (order.pid, order.uid) == (5_000_017, decode(frame)[0]["uid"])
    assert order.obj == b"object\n= of lines"


def test_another_child_is_given_the_frame_as_it_came(session: OwnedSession) -> None:
    frame = frame_of(session, pair(COMMON, b"object"))
    assert given(session, frame, b"") == frame
    assert orders.read(frame) is None
    assert orders.opened(session, *decode(frame)) == (COMMON, b"object")


def test_so_is_a_copy_of_what_is_not_like_it(session: OwnedSession) -> None:
    frame = frame_of(session, pair(b"other", b"object"))
    assert given(session, frame) == frame


def test_and_of_what_lies_elsewhere(session: OwnedSession) -> None:
    content = pair(COMMON, b"x" * BLOB)
    frame = frame_of(session, content)
    assert given(session, frame) == frame
    assert orders.opened_here(session, *decode(frame)) is None
    assert orders.opened(session, *decode(frame)) == (COMMON, b"x" * BLOB)


def test_and_of_what_is_not_right_of_which_it_complains_itself(session: OwnedSession) -> None:
    frame = frame_of(session, pair(COMMON, b"object"), of="another")
    assert given(session, frame) == frame
    with pytest.raises(UntrustedPayloadError):
        orders.opened(session, *decode(frame))
