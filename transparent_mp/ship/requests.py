"""Requests: what a process on a worker asks of the client, and the answer.

    asker    RPUSH inbox:CLIENT {kind: request, topic, key} + sealed JSON; BLPOP its answer key
    client   RPUSH the answer key, sealed head and body, for as long as an asker may wait

Both are sealed: a request because it makes the client read files, an answer because it is code.
"""

from __future__ import annotations

import json
from typing import Any, Callable

from transparent_mp.errors import SessionLostError, UntrustedPayloadError
from transparent_mp.ship.frames import Head, decode, encode
from transparent_mp.store.content import pack, unpack
from transparent_mp.store.session import Session, new_id

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

    def on(self, topic: str, answerer: Answerer) -> None:
        """Let `answerer(request)` return head and body for requests of that topic."""
        self._answerers[topic] = answerer

    def handle(self, head: Head, body: bytes) -> None:
        """Handler for the inbox."""
        session = self._session
        key = str(head["key"])
        if not key.startswith(session.keys("answer") + ":"):
            raise UntrustedPayloadError("a request wants its answer outside this session's keys")
        request = json.loads(bytes(session.seal.open(session.keys("inbox", session.client), body)))
        answer, content = self._answerers[head["topic"]](request)
        first, message = pack(session, key, encode(answer, content))
        expire = ("PEXPIRE", key, int(ANSWER_TIMEOUT * 1000))
        session.store.cast(*first, ("RPUSH", key, message), expire)
