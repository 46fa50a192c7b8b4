"""Requests: what a process on a worker asks of the client, and the answer.

    asker    RPUSH inbox:CLIENT {kind: request, topic, key} + request and data; BLPOP its answer key
    client   RPUSH the answer key, sealed head, and the body, unless that lies in the depot; both stay for as
             long as an asker may wait, at most until the session's end

Both are sealed: a request, as every event with all of its head, because it makes the client read and write
files; an answer, for its key, because it is code. Of a body the head has the digest. A request without a key
wants no answer.
"""

from __future__ import annotations

import hashlib
import logging
import struct
from functools import partial
from typing import Any, Callable, Union

from transparent_mp import background
from transparent_mp.errors import SessionLostError, StoreError, UntrustedPayloadError
from transparent_mp.json_text import dumps, loads
from transparent_mp.ship.frames import Head, encode
from transparent_mp.store.content import deposit, goes_to_depot, pack, unpack_whole, withdraw
from transparent_mp.store.link import Command
from transparent_mp.store.seal import Buffer
from transparent_mp.store.session import Session, new_id

log = logging.getLogger("transparent_mp")

Answerer = Callable[[dict[str, Any]], tuple[dict[str, Any], bytes]]
#: What will wait for its answer, in a thread.
Later = Callable[[], tuple[dict[str, Any], bytes]]
#: One that also takes the data that came with the request.
DataAnswerer = Callable[[dict[str, Any], Buffer], Union[tuple[dict[str, Any], bytes], Later]]

#: Seconds an answer may take: the client may hold its interpreter's lock for long.
ANSWER_TIMEOUT = 300.0

_LENGTH = struct.Struct("<I")


def send(
    session: Session, topic: str, request: dict[str, Any], data: Buffer = b"", *, of: str = "", key: str = ""
) -> None:
    """Ask without waiting. `of`: whose inbox it goes to, if not the client's; `key`: where an answer goes."""
    uid = of or session.client
    head = dumps(request).encode()
    content = b"".join((_LENGTH.pack(len(head)), head, data))
    first, sealed = pack(session, session.keys("inbox", uid), content)
    frame = encode({"kind": "request", "topic": topic, "key": key}, sealed)
    session.store.cast(*first, *session.push_event(uid, frame))


def ask(
    session: Session,
    topic: str,
    request: dict[str, Any],
    data: Buffer = b"",
    *,
    of: str = "",
    lasts: bool = False,
) -> tuple[dict[str, Any], bytes]:
    """Ask and wait. Raises SessionLostError when no answer comes, unless it `lasts` as long as it does."""
    key = session.keys("answer", new_id())
    send(session, topic, request, data, of=of, key=key)
    then: list[Command] = [("LPOP", key), ("SREM", session.keys("answers"), key)]
    taken = session.store.pop(key, None if lasts else ANSWER_TIMEOUT, then)
    if taken is None:
        raise SessionLostError(
            f"the client did not answer a request ({topic}) within {ANSWER_TIMEOUT:.0f} s: "
            "is it still running?"
        )
    with session.counting():
        head = loads(bytes(session.seal.open(key, taken[0])))
        if head["in_depot"]:
            return head["head"], b"".join(withdraw(session, head["digest"]))
        body: bytes = taken[1]
        if _digest(body) != head["digest"]:
            raise UntrustedPayloadError(f"the answer to a request ({topic}) is not what its digest says")
        return head["head"], body


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest() if body else ""


class Answers:
    """The answering side: one answerer for each topic."""

    def __init__(self, session: Session, of: str = "") -> None:
        self._session = session
        self._place = session.keys("inbox", of or session.client)
        self._answerers: dict[str, DataAnswerer] = {}
        self._slow: set[str] = set()

    def on(self, topic: str, answerer: Answerer, *, slow: bool = False) -> None:
        """Let `answerer(request)` return head and body for requests of that topic.

        A slow one has a thread for each request, and answers with an error what it raises.
        """
        self._answerers[topic] = lambda request, _data: answerer(request)
        if slow:
            self._slow.add(topic)

    def on_data(self, topic: str, answerer: DataAnswerer) -> None:
        """The same for requests that bring data."""
        self._answerers[topic] = answerer

    def handle(self, head: Head, body: bytes) -> None:
        """Handler for the inbox."""
        key = str(head["key"])
        if key and not key.startswith(self._session.keys("answer") + ":"):
            raise UntrustedPayloadError("a request wants its answer outside this session's keys")
        opened = memoryview(unpack_whole(self._session, self._place, body))
        end = _LENGTH.size + _LENGTH.unpack_from(opened)[0]
        request, data = loads(bytes(opened[_LENGTH.size : end])), opened[end:]
        topic = head["topic"]
        if topic in self._slow:
            background.start(self._answer_slowly, key, partial(self._answerers[topic], request, data))
            return
        answered = self._answerers[topic](request, data)
        if callable(answered):
            background.start(self._answer_slowly, key, answered)
        else:
            self._answer(key, *answered)

    def _answer_slowly(self, key: str, later: Any) -> None:
        try:
            try:
                answer, content = later()
            except Exception as error:  # noqa: BLE001 - whoever asked shall read it
                answer, content = {"error": f"{type(error).__name__}: {error}"}, b""
            self._answer(key, answer, content)
        except StoreError as error:
            # The inbox meets the same trouble, and tells everyone who waits.
            log.info("a request could not be answered: %s", error)

    def _answer(self, key: str, answer: dict[str, Any], content: bytes) -> None:
        if key:
            self._session.store.cast(*self._reply(key, answer, content))

    def _reply(self, key: str, answer: dict[str, Any], content: bytes) -> tuple[Command, ...]:
        session, digest, first = self._session, _digest(content), []
        in_depot = goes_to_depot(session, len(content))
        if in_depot:
            first, content = deposit(session, digest, content), b""
        head = dumps({"head": answer, "digest": digest, "in_depot": in_depot}).encode()
        answers = session.keys("answers")
        return (
            *first,
            ("RPUSH", key, session.seal.close(key, head), content),
            ("SADD", answers, key),
            ("PEXPIRE", key, int(ANSWER_TIMEOUT * 1000)),
            ("PEXPIRE", answers, session.ttl),
        )
