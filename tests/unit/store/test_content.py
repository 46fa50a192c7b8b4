from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from transparent_mp.errors import DepotError, UntrustedPayloadError
from transparent_mp.store.content import BLOB, pack, unpack, unpack_whole
from transparent_mp.store.depot import LARGE
from transparent_mp.store.pieces import Piece, Pieces
from transparent_mp.store.seal import Buffer
from transparent_mp.store.session import OwnedSession


class Shelf(dict):  # type: ignore[type-arg]
    """A depot in memory."""

    def put(self, digest: str, content: Buffer) -> None:
        assert hashlib.sha256(content).hexdigest() == digest
        self[digest] = bytes(content)

    def clear(self) -> None: ...

    def stream(self, digest: str) -> Iterator[bytes]:
        yield self[digest][:100]
        yield self[digest][100:]


@pytest.fixture
def depot(session: OwnedSession) -> Shelf:
    session.bucket = "bucket"
    session.depot = shelf = Shelf()
    return shelf


@pytest.mark.parametrize("size", [0, 10, BLOB, LARGE - 1])
def test_what_is_not_large_does_not_go_to_the_depot(size: int, session: OwnedSession, depot: Shelf) -> None:
    first, message = pack(session, "place", bytes(size))
    session.store.cast(*first)
    assert not depot
    assert bytes(unpack(session, "place", message)) == bytes(size)


@pytest.mark.parametrize("ack", ["", "0123456789abcdef"])
def test_what_is_large_lies_there_and_the_message_is_small(
    ack: str, session: OwnedSession, depot: Shelf
) -> None:
    content = bytearray(b"x") * LARGE
    first, message = pack(session, "place", content, ack)
    session.store.cast(*first)
    assert len(message) < 128
    assert list(depot) == [hashlib.sha256(content).hexdigest()]
    assert unpack(session, "place", message) == content
    assert session.store.ask("EXISTS", session.keys("depot")) == 1
    if ack:
        # Its sender has ended, or was never there.
        assert session.store.ask("LLEN", session.keys("ack", ack)) == 0
        session.store.call(("SADD", session.keys("keys"), session.keys("ack", ack)))
        unpack(session, "place", message)
        assert session.store.ask("LLEN", session.keys("ack", ack)) == 1


@pytest.mark.usefixtures("depot")
def test_a_digest_is_sealed_for_its_place(session: OwnedSession) -> None:
    _, message = pack(session, "place", bytes(LARGE))
    with pytest.raises(UntrustedPayloadError):
        unpack(session, "elsewhere", message)
    other = hashlib.sha256(b"other").hexdigest().encode()
    with pytest.raises(UntrustedPayloadError):
        unpack(session, "place", message[: -len(other)] + other)


@pytest.mark.usefixtures("depot")
def test_who_has_no_depot_says_so(session: OwnedSession) -> None:
    _, message = pack(session, "place", bytes(LARGE))
    session.depot = None
    with pytest.raises(DepotError, match="bucket 'bucket', which this process was not given"):
        unpack(session, "place", message)


def test_without_a_depot_large_contents_are_blobs(session: OwnedSession) -> None:
    first, message = pack(session, "place", bytes(LARGE))
    session.store.cast(*first)
    assert bytes(unpack(session, "place", message)) == bytes(LARGE)


@pytest.mark.parametrize("stored", [True, False])
def test_tokens_in_a_large_content_stand_in_its_message_too(
    stored: bool, session: OwnedSession, request: pytest.FixtureRequest
) -> None:
    if stored:
        request.getfixturevalue("depot")
    tokens = b"token-0123456789abcdef", b"token-fedcba9876543210"
    content = bytes(LARGE).join((b"", *tokens, b""))
    first, message = pack(session, "place", content, holds=True)
    assert all(token in message for token in tokens)
    assert len(message) < 200
    session.store.cast(*first)
    assert unpack(session, "place", message) == content


def test_a_blob_goes_with_its_session_wherever_its_sender_was_killed(session: OwnedSession) -> None:
    first, _ = pack(session, "place", bytes(BLOB), name="a" * 16)
    key, keys = session.keys("blob", "a" * 16), session.keys("keys")
    sent = 0
    for until in range(1, len(first)):
        session.store.call(*first[until - 1 : until])
        if session.store.ask("EXISTS", key):
            sent += 1
            assert session.store.ask("SISMEMBER", keys, key)
            # The first step and what gives it a life go in one piece.
            assert until < 3 or session.store.ask("PTTL", key) > 0
    assert sent > 1


def test_a_blob_that_is_sent_again_when_it_was_taken_has_an_end(session: OwnedSession) -> None:
    first, message = pack(session, "place", bytes(BLOB), name="a" * 16)
    session.store.call(*first)
    unpack(session, "place", message)
    # Steps are not done again.
    session.store.call(*(one for one in first if one[0] == "PEXPIRE" or isinstance(one[-1], memoryview)))
    assert session.store.ask("PTTL", session.keys("blob", "a" * 16)) > 0


def test_a_blob_of_several_chunks_comes_whole_and_goes(
    session: OwnedSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transparent_mp.store.content.CHUNK", BLOB // 3)
    content = bytes(range(256)) * (BLOB // 256) + b"the end"
    first, message = pack(session, "place", content)
    session.store.cast(*first)
    assert unpack(session, "place", message) == content
    assert session.store.ask("KEYS", session.keys("blob", "*")) == []


def in_pieces(size: int) -> Pieces:
    return Pieces([Piece(b"str"), Piece(b"eam"), Piece(bytes(range(256)) * (size // 256), apart=True)])


@pytest.mark.parametrize("size", [256, BLOB, LARGE])
@pytest.mark.parametrize("where", ["", "depot"])
def test_pieces_arrive_as_they_were_sent(
    size: int, where: str, session: OwnedSession, request: pytest.FixtureRequest
) -> None:
    if where:
        request.getfixturevalue(where)
    first, message = pack(session, "place", in_pieces(size), ack="0123456789abcdef")
    session.store.cast(*first)
    found = unpack(session, "place", message)
    assert isinstance(found, Pieces)
    assert found.stream == b"stream"
    assert found.apart == [bytes(range(256)) * (size // 256)]
    assert not memoryview(found.apart[0]).readonly
    assert session.store.ask("KEYS", session.keys("blob", "*")) == []


def test_what_lies_elsewhere_is_only_named(session: OwnedSession) -> None:
    large = bytes(LARGE)
    digest = hashlib.sha256(large).digest()
    content = Pieces([Piece(b"stream"), Piece(large, apart=True, elsewhere=True, digest=digest)])
    first, message = pack(session, "place", content)
    assert not first
    assert len(message) < 256
    found = unpack(session, "place", message)
    assert isinstance(found, Pieces)
    assert found.pieces[1] == Piece(b"", apart=True, elsewhere=True, digest=digest)


def test_a_piece_that_was_changed_on_its_way_is_refused(session: OwnedSession) -> None:
    first, message = pack(session, "place", in_pieces(BLOB), name="a" * 16)
    session.store.call(*first)
    session.store.call(("HSET", session.keys("blob", "a" * 16), 2, b"x" * BLOB))
    with pytest.raises(UntrustedPayloadError, match="gone or another than was sent"):
        unpack(session, "place", message)


def test_pieces_are_not_taken_where_none_are_sent(session: OwnedSession) -> None:
    first, message = pack(session, "place", in_pieces(256))
    session.store.cast(*first)
    with pytest.raises(UntrustedPayloadError, match="is in pieces"):
        unpack_whole(session, "place", message)


def test_tokens_are_looked_for_in_the_stream_only(session: OwnedSession) -> None:
    token, other = b"token-0123456789abcdef", b"token-fedcba9876543210"
    content = Pieces([Piece(token), Piece(other + bytes(BLOB), apart=True)])
    _, message = pack(session, "place", content, holds=True)
    assert token in message
    assert other not in message
