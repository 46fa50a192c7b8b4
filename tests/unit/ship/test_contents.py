from __future__ import annotations

import hashlib

import pytest

from transparent_mp.errors import SessionLostError, UntrustedPayloadError
from transparent_mp.ship import contents
from transparent_mp.store import content
from transparent_mp.store.session import OwnedSession

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (content, contents):
        monkeypatch.setattr(module, "CHUNK", 4096)


def test_a_content_is_stored_in_chunks_and_comes_back(session: OwnedSession) -> None:
    known: set[str] = set()
    session.store.call(*contents.put(session, {DIGEST: memoryview(CONTENT)}, known))
    assert known == {DIGEST}
    assert contents.get(session, DIGEST) == CONTENT
    assert [len(chunk) for chunk in contents.stream(session, DIGEST)] == [4096, 4096, 2048]
    key = session.keys("content", DIGEST)
    assert session.store.ask("HLEN", key) == 3
    assert session.store.ask("PTTL", key) > 0
    assert session.store.ask("SISMEMBER", session.keys("keys"), key) == 1


def test_what_is_known_is_not_stored_again() -> None:
    assert contents.put(None, {DIGEST: CONTENT}, {DIGEST}) == []  # type: ignore[arg-type]


def test_storing_it_again_replaces_it(session: OwnedSession) -> None:
    for _ in range(2):
        session.store.call(*contents.put(session, {DIGEST: CONTENT}, set()))
    assert contents.get(session, DIGEST) == CONTENT


def test_half_of_it_is_not_it(session: OwnedSession) -> None:
    assert not contents.has(session, DIGEST, len(CONTENT))
    session.store.call(*contents.put(session, {DIGEST: CONTENT}, set()))
    assert contents.has(session, DIGEST, len(CONTENT))
    session.store.call(("HDEL", session.keys("content", DIGEST), 2))
    assert not contents.has(session, DIGEST, len(CONTENT))
    with pytest.raises(UntrustedPayloadError, match="not what its digest says"):
        contents.get(session, DIGEST)


def test_what_is_gone_says_so(session: OwnedSession) -> None:
    with pytest.raises(SessionLostError, match="no longer in the store"):
        contents.get(session, DIGEST)


def several(count: int) -> dict[str, bytes]:
    return {hashlib.sha256(bytes([n])).hexdigest(): bytes([n]) * 1000 for n in range(count)}


def there(session: OwnedSession, digests: list[str]) -> list[bool]:
    return [bool(session.store.ask("EXISTS", session.keys("content", digest))) for digest in digests]


def test_what_nobody_may_ask_for_goes_but_for_the_last_used(
    session: OwnedSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "KEEP", 2500)
    kept, parts = contents.Kept(session), several(5)
    names = list(parts)
    session.store.call(*contents.put(session, parts, set(), lasting=False))
    for user, digest in enumerate(names):
        kept.use(str(user), {digest: 1000})
    kept.use("another", {names[0]: 1000})
    assert there(session, names) == [True] * 5
    for user in range(5):
        kept.release(str(user))
    assert there(session, names) == [True, False, False, True, True]
    kept.use("again", {names[3]: 1000})
    kept.release("another")
    assert there(session, names) == [True, False, False, True, True]
    kept.release("again")
    assert there(session, names) == [True, False, False, True, False]
    assert session.store.ask("SISMEMBER", session.keys("keys"), session.keys("content", names[1])) == 0


def test_what_another_process_has_stored_stays(
    session: OwnedSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "KEEP", 0)
    kept, parts = contents.Kept(session), several(2)
    names = list(parts)
    session.store.call(*contents.put(session, {names[0]: parts[names[0]]}, set()))
    session.store.call(*contents.put(session, {names[1]: parts[names[1]]}, set(), lasting=False))
    kept.use("one", dict.fromkeys(names, 1000))
    kept.release("one")
    assert there(session, names) == [True, False]
