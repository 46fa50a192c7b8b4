"""Requests: what a process on a worker asks of the client, and the answer.

    asker    RPUSH inbox:CLIENT {kind: request, topic, key} + sealed JSON; BLPOP its answer key
    client   RPUSH the answer key, sealed head and body, for as long as an asker may wait

Both are sealed: a request because it makes the client read files, an answer because it is code.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Callable

from transparent_mp import background
from transparent_mp.errors import SessionLostError, StoreError, UntrustedPayloadError
from transparent_mp.ship.frames import Head, decode, encode
from transparent_mp.store.content import pack, unpack
from transparent_mp.store.session import Session, new_id

log = logging.getLogger("transparent_mp")

Answerer = Callable[[dict[str, Any]], tuple[dict[str, Any], bytes]]

#: Seconds an answer may take: the client may hold its interpreter's lock for long.
ANSWER_TIMEOUT = 300.0


def ask(session: Session, topic: str, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Ask the client and wait. Raises SessionLostError when no answer comes."""
    key = session.keys("answer", new_id())
    inbox = session.keys("inbox", session.client)
    body = session.seal.close(inbox, json.dumps(request).encode())
    frame = encode({"kind": "request", "topic": topic, "key": key}, body)
    session.store.cast(*session.push_event(session.client, frame))
    taken = session.store.pop(key, ANSWER_TIMEOUT)
    if taken is None:
        raise SessionLostError(
            f"the client did not answer a request ({topic}) within {ANSWER_TIMEOUT:.0f} s: "
            "is it still running?"
        )
    return decode(bytes(unpack(session, key, taken[0])))


class Answers:
    """The client's side: one answerer for each topic."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._answerers: dict[str, Answerer] = {}
        self._slow: set[str] = set()

    def on(self, topic: str, answerer: Answerer, *, slow: bool = False) -> None:
        """Let `answerer(request)` return head and body for requests of that topic.

        A slow one has a thread for each request, and answers with an error what it raises.
        """
        self._answerers[topic] = answerer
        if slow:
            self._slow.add(topic)

    def handle(self, head: Head, body: bytes) -> None:
        """Handler for the inbox."""
        session = self._session
        key = str(head["key"])
        if not key.startswith(session.keys("answer") + ":"):
            raise UntrustedPayloadError("a request wants its answer outside this session's keys")
        request = json.loads(bytes(session.seal.open(session.keys("inbox", session.client), body)))
        topic = head["topic"]
        if topic in self._slow:
            background.start(self._answer_slowly, key, topic, request)
        else:
            self._answer(key, *self._answerers[topic](request))

    def _answer_slowly(self, key: str, topic: str, request: dict[str, Any]) -> None:
        try:
            try:
                answer, content = self._answerers[topic](request)
            except Exception as error:  # noqa: BLE001 - whoever asked shall read it
                answer, content = {"error": f"{type(error).__name__}: {error}"}, b""
            self._answer(key, answer, content)
        except StoreError as error:
            # The inbox meets the same trouble, and tells everyone who waits.
            log.info("a request could not be answered: %s", error)

    def _answer(self, key: str, answer: dict[str, Any], content: bytes) -> None:
        session = self._session
        first, message = pack(session, key, encode(answer, content))
        expire = ("PEXPIRE", key, int(ANSWER_TIMEOUT * 1000))
        session.store.cast(*first, ("RPUSH", key, message), expire)
