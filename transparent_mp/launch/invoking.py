"""A function's asynchronous invocations, many of them: how botocore asks for one, and the same again.

    first         botocore's `invoke`; what it is about to sign is noted, and lets the others begin
    the next      that request with another payload, signed by its signer, on its connections (`line.py`)
    not accepted  by `invoke` again, whatever the reason: it knows errors, retries and when to give up

So credentials and their refreshing, endpoint, proxies, certificates and signature are botocore's. Left out
are putting the same request together anew, reading an answer that is empty, and hooks between them: more than
half of its CPU, which is what bounds many launches at once. An event may be delivered twice anyway.
"""

from __future__ import annotations

import random
import threading
import time
from typing import Any

from transparent_mp.launch.line import ACCEPTED, Line, target

#: Headers, as they begin, that belong to a single request.
_ITS_OWN = (
    "amz-sdk-",
    "authorization",
    "content-length",
    "content-md5",
    "x-amz-checksum-",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
)
_TOO_MANY, _SERVER_ERROR = 429, 500
#: Seconds, at most, before it is asked again when it has too much to do: botocore's own first pause.
_PAUSE = 1.0


class Invoker:
    """Invokes one function. Thread-safe."""

    def __init__(self, client: Any, function: str) -> None:
        self._client = client
        self._function = function
        self._noted: _Noted | None = None
        self._first = threading.Lock()
        # Set when it is known what the first one looks like, or that nothing can be known of it.
        self._known = threading.Event()
        # The one used last is the one least likely to have been closed.
        self._idle: list[Line] = []
        # No part of its interface; without it, everything goes by `invoke`.
        self._connections: Any = getattr(getattr(client, "_endpoint", None), "http_session", None)
        if self._connections is None:
            self._known.set()
        else:
            client.meta.events.register_last("before-sign.lambda.Invoke", self._note)

    def send(self, payload: bytes) -> None:
        """Returns when it has been accepted. Raises what botocore raises."""
        if not self._known.is_set() and self._first.acquire(blocking=False):
            try:
                self._invoke(payload)
            finally:
                self._known.set()
            return
        self._known.wait()
        if self._noted is None or not self._accepted(self._noted, payload):
            self._invoke(payload)

    def close(self) -> None:
        """Close the connections that nobody uses at the moment."""
        while self._idle:
            self._idle.pop().close()

    def _invoke(self, payload: bytes) -> None:
        answer = self._client.invoke(FunctionName=self._function, InvocationType="Event", Payload=payload)
        # It is empty. Until it has been read, its connection is not free for the next request.
        answer["Payload"].read()

    def _note(self, **signing: Any) -> None:
        self._noted = _Noted(**signing)
        self._known.set()

    def _accepted(self, noted: _Noted, payload: bytes) -> bool:
        from botocore.exceptions import BotoCoreError

        try:
            status = self._asked(noted.signed(payload))
        except (BotoCoreError, OSError):
            # Of the way there, of credentials: `invoke` tries again, or says what is wrong.
            return False
        if status == _TOO_MANY or status >= _SERVER_ERROR:
            time.sleep(random.uniform(0, _PAUSE))  # noqa: S311
        return status == ACCEPTED

    def _asked(self, request: Any) -> int:
        """The status of its answer."""
        line = self._idle_line()
        if line is None:
            prepared = request.prepare()
            # Its connection is ours, and not for others, until its answer has been read.
            prepared.stream_output = True
            answer = self._connections.send(prepared)
            line = Line.of(answer)
            if line is None:
                answer.content  # noqa: B018  read, which frees the connection
                return int(answer.status_code)
            status = ACCEPTED
        else:
            status = line.ask(request)
        if line.is_open:
            self._idle.append(line)
        return status

    def _idle_line(self) -> Line | None:
        while True:
            try:
                line = self._idle.pop()
            except IndexError:
                return None
            if line.is_quiet():
                return line
            line.close()


class _Noted:
    """A request that botocore was about to sign."""

    def __init__(
        self, request: Any, request_signer: Any, signing_name: str, region_name: str, **rest: Any
    ) -> None:
        self._kind = type(request)
        self._method, self._url = request.method, request.url
        self._headers = {
            name: value for name, value in request.headers.items() if not name.lower().startswith(_ITS_OWN)
        }
        # What whoever sends it would add; as it is signed, it is the same on every way.
        self._headers["Host"] = target(self._url)[0]
        self._context = dict(request.context)
        self._signer = request_signer
        told = request.context.get("signing", {})
        name, region = told.get("signing_name") or signing_name, told.get("region") or region_name
        self._as = (name, region, rest["signature_version"])

    def signed(self, payload: bytes) -> Any:
        """The same with another payload, signed."""
        request = self._kind(method=self._method, url=self._url, headers=self._headers, data=payload)
        request.context.update(self._context)
        self._signer.get_auth_instance(*self._as).add_auth(request)
        return request
