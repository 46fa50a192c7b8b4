"""Every decoder of what comes from the store, given anything: it raises what is documented and nothing else.

FUZZ_RUNS is the number of inputs for each (`make fuzz RUNS=100000`); without it they are few, and the same
every time.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import logging
import os
import pickle
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from transparent_mp.errors import SessionLostError, StoreError, UntrustedPayloadError
from transparent_mp.primitives import ahead, groups, names
from transparent_mp.primitives.diff import BLOCK
from transparent_mp.primitives.replica import Replica
from transparent_mp.ship import contents, requests
from transparent_mp.ship.frames import decode, encode
from transparent_mp.ship.inbox import Inbox
from transparent_mp.store import content
from transparent_mp.store.content import BLOB, pack, unpack
from transparent_mp.store.keys import Keys
from transparent_mp.store.replay import Numbers, Seen
from transparent_mp.store.seal import Seal
from transparent_mp.store.session import SEALED, Session

RUNS = int(os.environ.get("FUZZ_RUNS", "0"))
fuzzed = settings(
    max_examples=RUNS or 100,
    derandomize=not RUNS,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

SECRET = b"s" * 32
INBOX = Keys("0" * 16)("inbox", "me")
#: What runs code when it is unpickled, and tells.
EVIL = b"cbuiltins\nprint\n(S'executed'\ntR."


@pytest.fixture(scope="module", autouse=True)
def read() -> Iterator[None]:
    """What is large comes by the store's answers below."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content, "loaded", lambda store, wanted: store.load(wanted))
        yield


class Store:
    """A store that answers what it is told to; and by default that nobody may ask it anything."""

    def __init__(self) -> None:
        self.waits = 0
        self.refused = 0
        self.answers: Callable[..., list[Any]] | None = None

    def call(self, *commands: Any) -> list[Any]:
        assert self.answers is not None, f"asked {commands} on behalf of what nobody has checked"
        return self.answers(*commands)

    def ask(self, *command: Any) -> Any:
        return self.call(command)[0]

    def load(self, wanted: Any) -> Iterator[bool]:
        for command, into in wanted:
            (part,) = self.call(command)
            here = isinstance(part, bytes) and len(part) == len(into)
            if here:
                into[:] = part
            yield here

    def pop(self, _key: str, _timeout: Any = None, _then: Any = ()) -> Any:
        assert self.answers is not None
        return self.answers()

    def cast(self, *_commands: Any, **_how: Any) -> None:
        """Nobody waits for it."""

    def soon(self, *_commands: Any) -> None:
        self.refused += 1


def session() -> Any:
    made: Any = SimpleNamespace(
        id="0" * 16, uid="me", client="me", keys=Keys("0" * 16), seal=Seal(SECRET), numbers=Numbers(),
        depot=None, ttl=1, store=Store(), bucket="", config=None, lease=1.0,
    )  # fmt: skip
    for name in ("refused", "counting", "open_event", "push_event"):
        setattr(made, name, getattr(Session, name).__get__(made))
    return made


#: JSON of every kind, as heads and requests.
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
fields = ("kind", "topic", "key", "pid", "code", "signal", "uid", "worker", "why", "name", "oid", "left",
          "fd", "host", "cores", "workers", "starting", "waiting", "op", "path")  # fmt: skip
heads = st.dictionaries(st.sampled_from(fields) | st.text(), anything, max_size=6)


def changed(data: st.DataObject, valid: bytes) -> bytes:
    """Something other than `valid`, made of it."""
    how = data.draw(st.sampled_from(["flip", "cut", "insert", "swap", "repeat"]))
    at = data.draw(st.integers(0, max(0, len(valid) - 1)))
    some = data.draw(st.binary(min_size=1, max_size=40))
    made = {
        "flip": valid[:at] + bytes([valid[at] ^ data.draw(st.integers(1, 255))]) + valid[at + 1 :],
        "cut": valid[:at],
        "insert": valid[:at] + some + valid[at:],
        "swap": valid[at:] + valid[:at],
        "repeat": valid + valid,
    }[how]
    return made if made != valid else valid + b"x"


@fuzzed
@given(st.binary())
@example(b"[" * 100_000 + b"\n")
@example(b"{" * 10 + b"\n")
@example(b'{"pid": 1' + b"0" * 10_000 + b"}\n")
@example(b"\xff\n")
@example(b"")
def test_a_frame(frame: bytes) -> None:
    try:
        head, _body = decode(frame)
    except ValueError:
        return
    assert isinstance(head, dict)


@fuzzed
@given(st.binary())
@example(b"\0")
@example(b"\xff\xff0")
def test_what_stands_before_a_process(body: bytes) -> None:
    word, rest = ahead.split(body)
    assert body[2:] == word + rest
    session: Any = SimpleNamespace(seal=Seal(SECRET), refused=lambda: None)
    assert ahead.read(session, "it", word) == ([], {}, "")


@fuzzed
@given(st.binary())
def test_what_nobody_has_sealed(sealed: bytes) -> None:
    with pytest.raises(UntrustedPayloadError):
        Seal(SECRET).open("place", sealed)


@fuzzed
@given(st.data())
@pytest.mark.parametrize("size", [0, 100, BLOB, 3 * BLOB])
def test_a_message_that_was_changed_is_refused_before_anything_is_fetched(size: int, data: Any) -> None:
    one = session()
    _, message = pack(one, "place", bytes(size), data.draw(st.sampled_from(["", "0123456789abcdef"])))
    seen = Seen()
    with pytest.raises(UntrustedPayloadError):
        unpack(one, "place", changed(data, message), seen)
    assert one.store.refused == 1
    # Nor is the right one then taken for a replay.
    if size < BLOB:
        assert bytes(unpack(one, "place", message, seen)) == bytes(size)


@fuzzed
@given(st.binary(), st.sampled_from([b"", EVIL, b"I" + EVIL, b"B" + EVIL, b"d" + bytes(200)]))
def test_a_message_of_anything(start: bytes, rest: bytes) -> None:
    with pytest.raises(UntrustedPayloadError):
        unpack(session(), "place", start + rest, Seen())


@fuzzed
@given(st.data())
def test_a_group_of_tasks_that_was_changed_begins_none_or_its_own(data: Any) -> None:
    one, seen, pickles = session(), Seen(), [b"one", b"two", b"three"]
    message = groups.sealed(one, "place", one.numbers, pickles)
    tasks, begun = groups.Ahead(one, "place"), []
    tasks.extend([changed(data, message), message])
    with contextlib.suppress(UntrustedPayloadError):
        while tasks:
            content, alone = tasks.begin(seen)
            begun.append(b"" if alone else bytes(content))
            if alone:
                unpack(one, "place", content, seen)
    # For which of them it stands is not sealed.
    assert set(begun) <= {*pickles, b""}
    assert all(begun.count(task) <= 1 for task in pickles)


@fuzzed
@given(st.lists(st.binary(max_size=50) | st.none(), max_size=3))
def test_a_blob_that_is_another(chunks: Any) -> None:
    one = session()
    _, message = pack(one, "place", bytes(BLOB))

    def answers(*commands: Any) -> list[Any]:
        ((name, _key, number),) = commands
        # No more than there should be, however much there is.
        assert (name, number) == ("HGET", 0)
        return [(chunks or [None])[0]]

    one.store.answers = answers
    with pytest.raises(UntrustedPayloadError):
        unpack(one, "place", message)


@fuzzed
@given(st.data(), heads, st.binary(max_size=50))
def test_an_inbox_outlives_every_event(data: Any, head: dict[str, Any], body: bytes) -> None:
    logging.getLogger("transparent_mp").disabled = True
    one = session()
    inbox = Inbox(one)
    done: list[Any] = []
    for kind in ("exit", "unlinked", "output", "want"):
        inbox.on(kind, lambda head, _body: done.append(head["kind"]))
    answers = requests.Answers(one)
    answers.on("topic", lambda request: ({"got": request["n"]}, b""))
    inbox.on("request", answers.handle)
    head = {**head, "kind": data.draw(st.sampled_from(["exit", "output", "want", "request", "x"]) | anything)}
    try:
        frame = encode(head, body)
        sealed = SEALED + one.seal.close(INBOX, one.numbers.next("me") + frame)
        for event in (frame, sealed, sealed, changed(data, sealed), body, SEALED + body):
            assert inbox._deliver(event) or head["kind"] == "stop"
    finally:
        logging.getLogger("transparent_mp").disabled = False
    # Unsealed: of scripts only. Sealed: once.
    assert done.count("exit") == 2 * (head["kind"] == "exit")
    assert done.count("output") == (head["kind"] == "output")


@fuzzed
@given(st.data(), anything, st.binary(max_size=100))
def test_an_answer_that_was_changed(data: Any, answer: Any, body: bytes) -> None:
    one = session()
    key = one.keys("answer", "1" * 16)
    replies = requests.Answers(one)._reply(key, {"x": answer}, body)
    (push,) = (command for command in replies if command[0] == "RPUSH")
    sealed, sent = push[2], push[3]
    which = data.draw(st.sampled_from(["head", "body", "none", "elsewhere"]))
    if which == "head":
        sealed = changed(data, sealed)
    elif which == "body":
        sent = changed(data, sent) if sent else b"x"
    elif which == "none":
        sent = None if body else b"x"
    one.store.answers = lambda *_: [sealed, sent]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests, "new_id", lambda: ("2" if which == "elsewhere" else "1") * 16)
        with pytest.raises(UntrustedPayloadError):
            requests.ask(one, "topic", {})


@fuzzed
@given(st.lists(st.binary(max_size=40), max_size=4), st.integers(0, 6))
def test_a_content_that_is_another(chunks: list[bytes], count: int) -> None:
    one = session()
    digest = hashlib.sha256(b"what it should be").hexdigest()

    def answers(*commands: Any) -> list[Any]:
        return [
            count if command[0] == "HLEN" else (chunks[command[2]] if command[2] < len(chunks) else None)
            for command in commands
        ]

    one.store.answers = answers
    if chunks and chunks[0] == b"":
        # It would lie in the depot.
        with pytest.raises(StoreError):
            contents.get(one, digest)
        return
    with pytest.raises((UntrustedPayloadError, SessionLostError)):
        contents.get(one, digest)


@fuzzed
@given(st.binary())
@example(b"0123456789abcdef 99999999999999999999 store")
@example(b"0123456789abcdef -1 store")
@example(b"0123456789abcdef 1 elsewhere")
def test_what_a_name_of_shared_memory_stands_for(value: bytes) -> None:
    try:
        entry = names._read(value)
    except UntrustedPayloadError:
        return
    assert entry is not None
    assert 0 <= entry.size < 10**15


#: A block that fits, and one that does not.
BLOCKS = [b"x" * BLOCK, b"x" * (BLOCK + 1)]


class Memory:
    """Memory of a replica, with guards on both sides."""

    def __init__(self, size: int) -> None:
        self.whole = (ctypes.c_char * (size + 2 * BLOCK)).from_buffer(bytearray(b"G" * (size + 2 * BLOCK)))
        self.view = memoryview(self.whole).cast("B")[BLOCK : BLOCK + size]

    def isolate(self) -> None:
        """It is nobody else's."""

    def free(self) -> None:
        """It is Python's."""

    def guarded(self) -> bool:
        whole = bytes(self.whole)
        return whole[:BLOCK] == whole[-BLOCK:] == b"G" * BLOCK


@fuzzed
@given(
    st.sampled_from([1, 100, BLOCK, BLOCK + 1, 20 * BLOCK]),
    st.lists(
        st.tuples(
            st.integers(-3, 25) | st.integers() | anything,
            st.none()
            | st.binary(max_size=50)
            | st.sampled_from([b"x" * BLOCK, b"x" * (BLOCK + 1)])
            | anything,
        ),
        max_size=24,
    ),
    st.tuples(*[st.integers(-5, 1 << 62)] * 4),
    st.booleans(),
)
def test_memory_is_not_written_beyond(size: int, blocks: Any, versions: Any, fresh: bool) -> None:
    memory = Memory(size)
    hold: Any = SimpleNamespace(oid="0" * 16)
    numbers = iter(range(1, 1 << 30))
    replica = Replica("0" * 16, memory, hold, numbers, lambda _replica: None, lambda *_: None)  # type: ignore[arg-type]
    replica.fresh = fresh
    answer = [b"0" * 16, *versions, *[part for block in blocks for part in block]]
    try:
        replica.merge(answer)
    except UntrustedPayloadError:
        assert blocks
    assert memory.guarded()
    # And it can still be published.
    memory.view[0] = 1
    list(replica.publication(session(), 1))


@fuzzed
@given(st.binary(max_size=200))
def test_the_payloads_of_these_tests_would_run(rest: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        said: list[Any] = []
        patch.setattr("builtins.print", said.append)
        pickle.load(io.BytesIO(EVIL + rest))
    assert said == ["executed"]
